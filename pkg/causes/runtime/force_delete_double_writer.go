package runtime

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func forceDeleteDoubleWriter() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST223", Slug: "force-delete-double-writer", Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "Containers of a pod that the API no longer has still run",
			Symptom: "A pod was deleted by force, or its Node object was, and its successor of the same name does not start, or both write; the old node's kubelet still reports about the pod that is gone.",
			Mechanism: "A forced deletion takes the object away without waiting for the node. Its kubelet goes on trying to end the containers, and where it cannot, or is " +
				"cut off, they run on: with the same identity in a StatefulSet, and with the volume still mounted.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod} -o custom-columns=LAST:.lastTimestamp,UID:.involvedObject.uid,HOST:.source.host,REASON:.reason",
				"kubectl get pod {pod} -n {namespace} -o jsonpath={.metadata.uid}",
				"kubectl get --raw /api/v1/nodes/{node}/proxy/runningpods/",
			},
			Remedies: []diagnose.Remedy{
				{ID: "hold-successor", Risk: diagnose.RiskLow, Text: "Keep the successor from writing until the old containers are gone: scale its workload down, or let it wait for its volume.", Command: "kubectl get pod {pod} -n {namespace} -o yaml"},
				{ID: "end-old-containers", Risk: diagnose.RiskMedium, Text: "On the old node: crictl stop the containers whose pod has no object, after a look at why the kubelet could not end them."},
				{ID: "power-off", Risk: diagnose.RiskHigh, Text: "Where the old node cannot be reached: power it off at its cloud console or BMC. What it has not written is lost."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/",
				"https://github.com/kubernetes/kubernetes/issues/58803", "kubernetes: pkg/kubelet/kubelet_pods.go (HandlePodCleanups)",
			},
		},
		Pod: findPredecessor,
		Log: append(
			diagnose.LikelyLines(
				diagnose.Saying("Pod is orphaned and still running, began terminating"),
				diagnose.Saying("Pod is orphaned and still terminating"), diagnose.Saying("Orphaned running pod terminating without grace period"),
			),
			diagnose.FittingLines([]string{"d-state-process", "runtime-state-desync"}, "Whether it is said of the same pod again and again: then its containers cannot be ended; once is the usual end of a pod that was deleted by force.",
				// pkg/kubelet/kubelet_pods.go, for every pod that was deleted while the kubelet did not run.
				diagnose.Saying("Clean up containers for orphaned pod"), diagnose.Saying("Killing unwanted pod"))...,
		),
	}
}

// findPredecessor looks for a node whose kubelet reports about a pod of the same name and another UID after this one was made.
func findPredecessor(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Object.UID == "" || p.Object.CreationTimestamp.IsZero() || p.State == stuck.Terminating {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Confidence: diagnose.Likely}
	host := ""
	for _, e := range s.Events(snapshot.Ref{Kind: snapshot.Pod, Namespace: p.Ref.Namespace, Name: p.Ref.Name}) { // of any UID
		if r := e.Regarding; r.UID == "" || r.UID == p.Object.UID {
			continue
		}
		if e.Component != "kubelet" || e.Host == "" || e.Host == p.Node || !e.Last.After(p.Object.CreationTimestamp.Time) {
			continue
		}
		host = e.Host
		f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
	}
	if len(f.Evidence) == 0 {
		return f, false
	}
	f.Evidence = f.Evidence[max(0, len(f.Evidence)-3):]
	f.Message = fmt.Sprintf("The kubelet of node %s still reports about a pod %s/%s that the API no longer has; this one, of the same name, was made since. Its predecessor's containers may run and write.", host, p.Ref.Namespace, p.Ref.Name)
	f.Alternatives = []string{"multi-attach-node-down"}
	f.Decide = "Whether containers of the old pod run on node " + host + ": crictl pods --name there, or the list of running pods that its kubelet gives."
	return f, true
}
