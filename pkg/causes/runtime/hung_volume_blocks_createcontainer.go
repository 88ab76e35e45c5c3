package runtime

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func hungVolumeBlocksCreatecontainer() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST217", Slug: "hung-volume-blocks-createcontainer", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:     "Creating the container waits for a volume that does not answer",
			Symptom:   "\"failed to reserve container name\" for far longer than a slow disk explains, on a pod with a network or CSI volume.",
			Mechanism: "Before it makes a container the runtime looks at each of its mounts. On a file system whose server or daemon is gone that look never returns, and the request keeps the container's name.",
			Confirm: []string{
				"kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.volumes}",
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-volume", Risk: diagnose.RiskNone, Text: "Bring the volume's server back; on the node, stat of the mount below /var/lib/kubelet/pods shows when it answers."},
				{ID: "restart-node-plugin", Risk: diagnose.RiskMedium, Text: "Where the driver's node plugin hangs: restart its pod on the node. FUSE mounts of every other pod of that driver there die with it."},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "When the volume answers again and the name stays reserved: restart containerd on the node."},
			},
			Refs: []string{"https://github.com/containerd/containerd/issues/13867", "https://github.com/containerd/containerd/issues/10828"},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Confidence: diagnose.Possible}
			if !starting(p) || !remote(p.Object) {
				return f, false
			}
			if f.Evidence = atVolumes(s, p); len(f.Evidence) > 0 {
				f.Confidence = diagnose.Likely
				f.Message = fmt.Sprintf("CRI-O has been at the volumes of a container of pod %s/%s for longer than the kubelet waits.", p.Ref.Namespace, p.Ref.Name)
				f.Alternatives = []string{"selinux-recursive-relabel"}
				f.Decide = "On node {node}: whether stat of the pod's mounts below /var/lib/kubelet/pods returns (a volume that hangs), or the disk works through many files (SELinux labels)."
				return f, true
			}
			if f.Evidence = nameReserved(s, p); len(f.Evidence) == 0 || p.For <= longReserved {
				return f, false
			}
			f.Message = fmt.Sprintf("A request for a container of pod %s/%s has been under way for %s, longer than a slow disk explains, and the pod mounts a volume that could hang it.", p.Ref.Namespace, p.Ref.Name, scope.Short(p.For))
			f.Alternatives = []string{"runtime-request-timeout-slow-disk", "containerd-name-reservation-leak", "selinux-recursive-relabel"}
			f.Decide = "On node {node}: whether stat of the pod's mounts below /var/lib/kubelet/pods returns."
			return f, true
		},
		Log: append(append(
			diagnose.CertainLines(diagnose.Text{All: []string{"failed to generate spec: failed to stat"}, Any: []string{"errno=512", "errno 512", "interrupted system call"}}),
			diagnose.LinesOf(diagnose.Likely, []string{"selinux-recursive-relabel"},
				"Whether stat of the pod's mounts below /var/lib/kubelet/pods returns (a volume that hangs), or the disk works through many files (SELinux labels).",
				diagnose.Saying("urrently at stage container volume configuration"))...),
			diagnose.FittingLines([]string{"fuse-endpoint-dead", "nfs-stale-file-handle"}, "What stat of the path that the line names says.",
				diagnose.Text{All: []string{"failed to generate spec: failed to stat"}, None: []string{"errno=512", "transport endpoint", "stale", "no such file", "permission denied", "not a directory"}})...,
		),
	}
}

// atVolumes cites CRI-O's word that an earlier request is still at the volumes of the container (server/container_create.go): it binds them, and labels every
// file for SELinux.
func atVolumes(s *snapshot.Snapshot, p stuck.Pod) []diagnose.Evidence {
	return slices.DeleteFunc(nameReserved(s, p), func(e diagnose.Evidence) bool {
		return !strings.Contains(strings.ToLower(e.Value), "stage container volume configuration")
	})
}
