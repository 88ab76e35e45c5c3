package startup

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageArch() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST610", Slug: "image-arch",
		Doc: diagnose.Doc{
			Title:     "The image was not built for the node's processor",
			Symptom:   `ErrImagePull with "no match for platform in manifest", or a container that ends at once with "exec format error", on nodes of one architecture, while the same image runs on others.`,
			Mechanism: "A tag can stand for several builds. The runtime takes the one for its node's operating system and processor; there is none. An image that claims to fit and was built for another processor is pulled, and its command cannot be executed.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get node {node} -L kubernetes.io/arch,kubernetes.io/os",
			},
			Remedies: []diagnose.Remedy{
				{ID: "select-nodes", Risk: diagnose.RiskLow, Text: "Give the workload a nodeSelector for kubernetes.io/arch, so that its pods go to nodes that can run it.", Command: "kubectl get nodes -L kubernetes.io/arch"},
				{ID: "build-image", Risk: diagnose.RiskLow, Text: "Build and push the image for this architecture as well."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes",
				"https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-arch",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultPlatform)
			if !ok {
				return foreignProcessor(s, p)
			}
			return diagnose.Finding{
				Subject: x.imageRef(), Confidence: diagnose.Certain, Evidence: x.ev,
				Message: fmt.Sprintf("Image %q has no build for the operating system and processor of node %s%s.", x.image, p.Node, platformOf(s, p.Node)),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"no match for platform in manifest", "no matching manifest for", "no image found in manifest list for architecture", "no image found in image index for architecture"}}, Confidence: diagnose.Certain},
			{
				Text: diagnose.Text{All: []string{"exec format error"}, None: []string{"/cni", "plugin type", "systemd[", "fork/exec /"}}, Alternatives: []string{"run-oci-error"},
				Decide: "Whether the same image runs on nodes of another processor. If it runs nowhere, its command is a script without an interpreter line, or a broken file.",
			},
		},
	}
}

// foreignProcessor speaks for a container that was pulled and whose command the kernel does not take for a program (ENOEXEC).
func foreignProcessor(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Object == nil || !slices.Contains([]stuck.State{stuck.RunContainerError, stuck.CreateContainerError, stuck.CrashLoopBackOff, stuck.Init}, p.State) {
		return diagnose.Finding{}, false
	}
	format := diagnose.Text{All: []string{"exec format error"}}
	finding := func(who, image string, ev []diagnose.Evidence) (diagnose.Finding, bool) {
		return diagnose.Finding{
			Subject: p.Ref, Confidence: diagnose.Likely, Evidence: ev,
			Message: fmt.Sprintf("The command of %s%s is no program that node %s%s can run: it was built for another processor, or is a script without an interpreter line.",
				who, image, p.Node, platformOf(s, p.Node)),
			Alternatives: []string{"run-oci-error"},
			Decide:       "Whether the same image runs on nodes of another processor: kubectl get nodes -L kubernetes.io/arch.",
		}, true
	}
	for _, c := range statuses(p.Object) {
		if c.State.Running != nil {
			continue // it started since
		}
		var reason, message, field string
		switch w, t, l := c.State.Waiting, c.State.Terminated, c.LastTerminationState.Terminated; {
		case w != nil && format.Match(w.Message):
			reason, message, field = w.Reason, w.Message, "state.waiting"
		case t != nil && format.Match(t.Message):
			reason, message, field = t.Reason, t.Message, "state.terminated"
		case l != nil && format.Match(l.Message):
			reason, message, field = l.Reason, l.Message, "lastState.terminated"
		default:
			continue
		}
		return finding("container "+c.Name, fmt.Sprintf(" (image %q)", imageOf(p.Object, c.Name)), []diagnose.Evidence{{
			Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].%s", c.Name, field), Value: reason + ": " + message,
		}})
	}
	if ev := diagnose.Said(s, p, format, "Failed", "FailedSync", "BackOff"); len(ev) > 0 {
		return finding("a container of the pod", "", ev)
	}
	return diagnose.Finding{}, false
}

// platformOf is a node's operating system and processor, in parentheses; empty where they are not known.
func platformOf(s *snapshot.Snapshot, node string) string {
	n := s.Node(node)
	if n == nil || n.Status.NodeInfo.Architecture == "" {
		return ""
	}
	return fmt.Sprintf(" (%s/%s)", n.Status.NodeInfo.OperatingSystem, n.Status.NodeInfo.Architecture)
}
