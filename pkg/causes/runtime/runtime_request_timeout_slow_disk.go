package runtime

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func runtimeRequestTimeoutSlowDisk() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST216", Slug: "runtime-request-timeout-slow-disk", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "Creating a container takes longer than the kubelet waits",
			Symptom: "\"failed to reserve container name … is reserved for …\" or, with CRI-O, \"Kubelet may be retrying requests that are timing out\".",
			Mechanism: "The kubelet gives the runtime two minutes for a request (--runtime-request-timeout) and then asks again, while the first request is " +
				"still being worked on and holds the name. The usual reason is a disk that is too slow or throttled for what is started at once; it " +
				"heals when the load ends.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
				"kubectl debug node/{node} -it --image=busybox -- chroot /host cat /proc/pressure/io",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait some minutes: each retry has the same name, and the first request that completes ends it."},
				{ID: "ease-disk", Risk: diagnose.RiskLow, Text: "Take load off the node's disk: fewer pods started at once, cordon it for a while, a disk with more IOPS.", Command: "kubectl cordon {node}"},
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Where it does not heal: restart containerd on the node. That drops the reservation; containers survive."},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/issues/4604",
				"https://github.com/cri-o/cri-o/issues/7010",
				"cri-o: server/utils.go",
				"https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Likely}
			if !starting(p) && p.State != stuck.Init || relabels(s, p) {
				return f, false
			}
			if f.Evidence = nameReserved(s, p); len(f.Evidence) == 0 {
				return timedOut(s, p)
			}
			f.Message = fmt.Sprintf("The runtime of node %s is still at work on an earlier request for the same container.", p.Node)
			f.Alternatives = []string{"hung-volume-blocks-createcontainer", "containerd-name-reservation-leak", "selinux-recursive-relabel"}
			f.Decide = "Whether it heals within minutes (load on node {node}'s disk), whether the pod's volume answers (stat its mount), or whether nothing is going on any more (restart the runtime)."
			if p.For > longReserved {
				f.Confidence = diagnose.Possible
				f.Message += fmt.Sprintf(" After %s that is more than slowness.", scope.Short(p.For))
			}
			return f, true
		},
		Log: append(
			diagnose.LinesOf(diagnose.Likely, []string{"hung-volume-blocks-createcontainer", "containerd-name-reservation-leak", "selinux-recursive-relabel"}, decideReserved(),
				diagnose.Saying("failed to reserve container name"), diagnose.Saying("failed to reserve sandbox name"), diagnose.Saying("error reserving ctr name"), diagnose.Saying("error reserving pod name"),
				diagnose.Text{All: []string{"Kubelet may be retrying requests that are timing out in CRI-O"}, None: []string{"stage container volume configuration"}},
				diagnose.Text{All: []string{"not yet finished. Currently at stage"}, None: []string{"stage container volume configuration"}},
			),
			diagnose.FittingLines([]string{"runtime-hung", "hung-volume-blocks-createcontainer", "selinux-recursive-relabel"}, decideReserved(),
				diagnose.Text{All: []string{"CreateContainer in sandbox", "from runtime service failed"}, Any: noAnswerInTime(), None: []string{"failed to reserve", "error reserving"}},
				diagnose.Text{All: []string{"StartContainer", "from runtime service failed"}, Any: noAnswerInTime()},
				diagnose.Text{All: []string{"RunPodSandbox from runtime service failed"}, Any: noAnswerInTime(), None: append(ofTheNetwork(), "failed to reserve", "error reserving")},
				diagnose.Text{All: []string{"CreatePodSandbox for pod failed"}, Any: noAnswerInTime(), None: append(ofTheNetwork(), "failed to reserve", "error reserving")},
			)...,
		),
	}
}

func decideReserved() string {
	return "Whether it heals within minutes (load on the disk: iostat -x), whether the pod's volume answers (stat its mount), or whether nothing is going on any more (restart the runtime)."
}

// ofTheNetwork are the words around a network plugin that did not answer in time.
func ofTheNetwork() []string {
	return []string{"failed to setup network", "failed to set up sandbox container", "plugin type=", "networkPlugin cni", "failed to destroy network", "CNI", "multus", "failed to get sandbox image", "failed to pull"}
}

// both keeps the evidence whose words match as well.
func both(ev []diagnose.Evidence, t diagnose.Text) []diagnose.Evidence {
	return slices.DeleteFunc(ev, func(e diagnose.Evidence) bool { return !t.Match(e.Value) })
}

// timedOut judges a pod of whose first steps the kubelet said nothing but that they took too long. One pod alone: where several workloads of a node wait, the
// runtime is the suspect (see runtime-hung). Which request it was splits what it can be: before the sandbox is there, no volume is looked at by the runtime.
func timedOut(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Possible}
	if p.Node == "" || unwell(s, p.Node) {
		return f, false
	}
	none := append(ofTheNetwork(), "MountVolume", "AttachVolume", "unmounted volumes", "containerd.sock", "crio.sock", "image")
	late := diagnose.Text{Any: noAnswerInTime(), None: none}
	// Kubelets before 1.8 said everything as FailedSync.
	container := diagnose.Text{Any: []string{"StartContainer", "CreateContainer", "RunContainer", "runContainer"}}
	f.Evidence = append(diagnose.Said(s, p, late, "Failed"), both(diagnose.Said(s, p, late, "FailedSync"), container)...)
	for i := range p.Object.Status.ContainerStatuses {
		c := &p.Object.Status.ContainerStatuses[i]
		if w := c.State.Waiting; w != nil && slices.Contains([]string{"CreateContainerError", "RunContainerError"}, w.Reason) && late.Match(w.Message) {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "status.containerStatuses[" + c.Name + "].state.waiting", Value: w.Reason + ": " + w.Message})
		}
	}
	if len(f.Evidence) > 0 {
		f.Message = fmt.Sprintf("A container of pod %s/%s was not made or started in the time that the kubelet of node %s waits.", p.Ref.Namespace, p.Ref.Name, p.Node)
		f.Alternatives = []string{"runtime-hung", "kernel-hung-task"}
		if remote(p.Object) {
			f.Alternatives = append([]string{"hung-volume-blocks-createcontainer", "selinux-recursive-relabel"}, f.Alternatives...)
		}
		f.Decide = "Whether other pods start on node {node}: if not, it is the runtime or its disk (crictl info, iostat -x); if they do, whether stat of this pod's mounts below /var/lib/kubelet/pods returns."
		return f, true
	}
	if f.Evidence = append(diagnose.Said(s, p, late, "FailedCreatePodSandBox"), both(diagnose.Said(s, p, late, "FailedSync"), diagnose.Text{Any: []string{"sandbox"}})...); len(f.Evidence) > 0 {
		f.Message = fmt.Sprintf("The sandbox of pod %s/%s was not made in the time that the kubelet of node %s waits.", p.Ref.Namespace, p.Ref.Name, p.Node)
		f.Alternatives = []string{"runtime-hung", "netdev-refcount-leak", "cni-plugin-fails", "kernel-hung-task"}
		f.Decide = "Whether other pods get their sandbox on node {node}: if not, whether the runtime answers (crictl info) and the kernel log says unregister_netdevice; what the CNI plugin logs for this pod."
		return f, true
	}
	return f, false
}
