package startup

import (
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func unschedulableTaints() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST635", Slug: "unschedulable-taints",
		Doc: diagnose.Doc{
			Title:     "The nodes carry taints that the pod does not tolerate, or are cordoned",
			Symptom:   `Pending, FailedScheduling with "untolerated taint" or "were unschedulable" for most nodes.`,
			Mechanism: "A taint keeps away every pod without a matching toleration: set by people to reserve nodes, by the node controller for nodes that are not ready or under pressure, by a cloud provider for nodes that it has not initialized, and by kubectl cordon or drain.",
			Confirm: []string{
				"kubectl get nodes -o custom-columns=NAME:.metadata.name,CORDONED:.spec.unschedulable,TAINTS:.spec.taints[*].key",
				"kubectl get pod {pod} -o jsonpath='{.spec.tolerations}' -n {namespace}",
				"kubectl get events --field-selector involvedObject.name={pod},reason=FailedScheduling -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-nodes", Risk: diagnose.RiskNone, Text: "Taints of node.kubernetes.io/… stand for trouble of the node: mend that, and they go.", Command: "kubectl stuck node"},
				{ID: "uncordon", Risk: diagnose.RiskLow, Text: "Uncordon nodes whose maintenance is over (kubectl uncordon).", Command: "kubectl get nodes"},
				{ID: "add-toleration", Risk: diagnose.RiskLow, Text: "If the pod may use reserved nodes, add the toleration to the workload."},
				{ID: "remove-taint", Risk: diagnose.RiskMedium, Text: "Remove a taint that nobody needs any more (kubectl taint nodes NODE KEY-). Other pods come to the node as well then."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f, ok := unschedulable(obstacleTaints, "Taints or cordons keep the pod off the nodes")(s, p)
			if !ok {
				return f, false
			}
			if r, known := rejectionOf(s, p); known {
				r.blame(&f)
			}
			return f, true
		},
	}
}

// symptoms are the taints that nobody set to reserve a node: a component sets them and takes them away (k8s.io/api/core/v1 well_known_taints.go,
// k8s.io/cloud-provider/api), or the words that older schedulers have for the same. What keeps the pod off is behind them.
func symptoms() []struct {
	says   []string
	causes []string
	decide string
} {
	return []struct {
		says   []string
		causes []string
		decide string
	}{
		{
			[]string{"node.cloudprovider.kubernetes.io/uninitialized"}, []string{"ccm-uninitialized-taint"},
			"Whether the cloud controller manager runs: it takes the taint away when it has found the machine in the cloud.",
		},
		{
			[]string{"node.kubernetes.io/unreachable", "had unknown conditions"}, []string{"node-lost"},
			"Whether the nodes are Ready: kubectl get nodes. The node controller set the taint when their kubelets fell silent.",
		},
		{
			[]string{"node.kubernetes.io/not-ready", "were not ready"}, []string{"cni-not-initialized", "runtime-hung", "node-lost"},
			"What the Ready condition of the nodes says: kubectl describe nodes. Kubelet names there what it waits for, the network or the runtime.",
		},
		{
			[]string{"node.kubernetes.io/network-unavailable", "network unavailable"}, []string{"cni-not-initialized"},
			"What the NetworkUnavailable condition of the nodes says, and whether their network provider runs: kubectl describe nodes.",
		},
	}
}

// blame names what stands behind the taints that are symptoms. The pod is kept off by them, and they are not the cause.
func (r rejection) blame(f *diagnose.Finding) {
	for _, x := range symptoms() {
		if !slices.ContainsFunc(r.objections, func(o objection) bool {
			return o.kind == obstacleTaints && slices.ContainsFunc(x.says, func(sub string) bool { return strings.Contains(o.text, sub) })
		}) {
			continue
		}
		for _, slug := range x.causes {
			if !slices.Contains(f.Alternatives, slug) {
				f.Alternatives = append(f.Alternatives, slug)
			}
		}
		if f.Decide != "" {
			f.Decide += " "
		}
		f.Decide += x.decide
	}
	switch {
	case slices.Contains(f.Alternatives, "ccm-uninitialized-taint"):
		f.Confidence = diagnose.Possible // which speaks for itself
	case len(f.Alternatives) > 0 && f.Confidence == diagnose.Certain:
		f.Confidence = diagnose.Likely
	}
}
