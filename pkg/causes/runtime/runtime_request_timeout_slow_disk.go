package runtime

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func runtimeRequestTimeoutSlowDisk() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST216", Slug: "runtime-request-timeout-slow-disk", Reach: scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
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
				"cri-o: server/utils.go",
				"https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Subject: nodeRef(p.Node), Confidence: diagnose.Likely}
			if !starting(p) && p.State != stuck.Init {
				return f, false
			}
			if f.Evidence = nameReserved(s, p); len(f.Evidence) == 0 {
				return f, false
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
		Log: []string{"failed to reserve container name", "failed to reserve sandbox name", "Kubelet may be retrying requests that are timing out in CRI-O"},
	}
}
