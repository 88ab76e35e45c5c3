package network

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// networksAnnotation names the additional networks that a pod asks Multus for.
const networksAnnotation = "k8s.v1.cni.cncf.io/networks"

func cniNetAttachDefMissing() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST408", Slug: "cni-net-attach-def-missing",
		Doc: diagnose.Doc{
			Title:     "The pod asks for an additional network that is not defined",
			Symptom:   "Pods with the annotation k8s.v1.cni.cncf.io/networks stay in ContainerCreating; others on the same nodes start.",
			Mechanism: "Multus looks up every NetworkAttachmentDefinition that the annotation names, in the pod's namespace unless it says otherwise, or a file of that name on the node. One that is missing fails the pod's whole network.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get network-attachment-definitions.k8s.cni.cncf.io -A",
			},
			Remedies: []diagnose.Remedy{
				{ID: "create-definition", Risk: diagnose.RiskNone, Text: "Create the NetworkAttachmentDefinition in the namespace that the annotation means, or the file in /etc/cni/multus/net.d that it refers to. The pod starts at the next attempt."},
				{ID: "fix-annotation", Risk: diagnose.RiskLow, Text: "Or correct the name or namespace in the workload's pod template; the workload replaces the pod."},
			},
			Refs: []string{
				"https://github.com/k8snetworkplumbingwg/multus-cni/blob/master/docs/how-to-use.md",
				"https://github.com/k8snetworkplumbingwg/multus-cni/issues/641",
			},
		},
		Reach: scope.ReachPod,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			ev := sandboxEvents(s, p, []string{reasonCreate, reasonNoNetwork}, says(sayNoDefinition))
			if len(ev) == 0 {
				return diagnose.Finding{}, false
			}
			sure := diagnose.Fresh(s, diagnose.Certain, ev)
			wants := ""
			if a := p.Object.Annotations[networksAnnotation]; a != "" {
				wants = fmt.Sprintf(" It asks for %q in annotation %s.", quote(a), networksAnnotation)
				ev = append(ev, diagnose.Evidence{Object: p.Ref.String(), Field: "metadata.annotations[" + networksAnnotation + "]", Value: a})
			}
			return diagnose.Finding{
				Subject: p.Ref, Confidence: sure, Evidence: ev,
				Message: fmt.Sprintf("Multus does not find a network that the pod asks for: %s.%s", quote(ev[0].Value), wants),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"cannot find a network-attachment-definition", "err in GetCNIConfigFromFile", "No networks found in /etc/cni/multus/net.d", "could not find network attachment definition"}}},
			{Text: diagnose.Text{All: []string{"network-attachment-definitions.k8s.cni.cncf.io", "not found"}}},
		},
	}
}
