package startup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func draPrepareFails() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST605", Slug: "dra-prepare-fails",
		Doc: diagnose.Doc{
			Title:     "The device driver on the node cannot prepare, or release, what the pod claims",
			Symptom:   "The pod has a node and a ResourceClaim, and stays in ContainerCreating with FailedPrepareDynamicResources. Other pods on the node start.",
			Mechanism: "Before it makes the sandbox, kubelet asks the driver of every claimed device to prepare it. The driver's pod does not run on the node, has not registered with kubelet, or answers with an error.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get resourceclaims -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-driver", Risk: diagnose.RiskNone, Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}", Text: "Look at the driver's pod on this node and its log. Kubelet asks again by itself."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the pod, so that it is placed and its claim allocated anew, perhaps elsewhere."},
				{ID: "restart-driver", Risk: diagnose.RiskMedium, Text: "Delete the driver's pod on this node, so that it registers anew. Containers that use a device go on with most drivers."},
			},
			Since: "Kubernetes 1.26",
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kuberuntime/kuberuntime_manager.go",
			},
		},
		Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node == "" {
				return diagnose.Finding{}, false
			}
			if p.State == stuck.Terminating {
				return unprepare(s, p)
			}
			events := diagnose.Events(s, p)
			for i := len(events) - 1; i >= 0; i-- {
				e := events[i]
				if e.Reason != "FailedPrepareDynamicResources" && (e.Reason != "" || !prepareWords().Match(e.Message)) {
					continue
				}
				var claims []string
				for _, c := range p.Object.Spec.ResourceClaims {
					claims = append(claims, c.Name)
				}
				what := "what the pod claims"
				if len(claims) > 0 {
					what = "the pod's claim " + strings.Join(claims, ", ")
				}
				ev := []diagnose.Evidence{diagnose.EventEvidence(e)}
				return diagnose.Finding{
					Subject: p.Ref, Confidence: diagnose.Fresh(s, diagnose.Certain, ev), Evidence: ev,
					Message: fmt.Sprintf("The device driver on node %s cannot prepare %s: %s%s.", p.Node, what, prepareMeans(e.Message), quote(e.Message)),
				}, true
			}
			return diagnose.Finding{}, false
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{
				"Failed to prepare dynamic resources", "failed to prepare dynamic resources", "Failed to unprepare dynamic resources", "failed to unprepare dynamic resources", "NodePrepareResources failed for",
				"NodeUnprepareResources failed for", "prepare dynamic resources: ",
			}}},
			{Text: diagnose.Text{All: []string{"DRA driver", "is not registered"}}},
		},
	}
}

func prepareWords() diagnose.Text {
	return diagnose.Text{Any: []string{"prepare dynamic resources", "NodePrepareResources"}}
}

// prepareMeans says in words what the commonest errors mean (pkg/kubelet/cm/dra).
func prepareMeans(message string) string {
	switch {
	case strings.Contains(message, "is not registered"), strings.Contains(message, "not found in the list of registered DRA plugins"), strings.Contains(message, "plugin name"):
		return "its pod does not run on the node, or has not registered with the kubelet; "
	case strings.Contains(message, "is not allowed to use"):
		return "the claim is not reserved for this pod; "
	case strings.Contains(message, "previous pod force-deleted"):
		return "the claim of an earlier pod of that name was never released on the node, because that pod was deleted by force; "
	case strings.Contains(message, "not created yet"), strings.Contains(message, "fetch ResourceClaim"):
		return "the claim object is not there; "
	case strings.Contains(message, "context deadline exceeded"), strings.Contains(message, "DeadlineExceeded"):
		return "it does not answer in time; "
	}
	return ""
}

// unprepare speaks for a pod whose devices may not be released. The kubelet does that when the containers have stopped and before it reports so, and
// posts no event of it (pkg/kubelet SyncTerminatingPod); a driver that could not prepare them is not there to release them either.
func unprepare(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Stage != stuck.KillUnconfirmed && p.Stage != stuck.Cleanup || len(p.Object.Spec.ResourceClaims) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.Ref, Confidence: diagnose.Possible,
		Message:      fmt.Sprintf("The pod has devices that the driver on node %s has to release before the kubelet reports its end.", p.Node),
		Evidence:     []diagnose.Evidence{{Object: p.Ref.String(), Field: "spec.resourceClaims", Value: p.Object.Spec.ResourceClaims[0].Name}},
		Alternatives: []string{"d-state-process", "runtime-hung", "orphaned-pod-dir"},
		Decide:       "The kubelet's log on the node: \"unprepare dynamic resources\" for the devices, KillContainer for processes, UnmountVolume for volumes.",
	}
	for _, e := range slices.Backward(s.Events(p.Ref)) {
		if e.Reason == "FailedPrepareDynamicResources" {
			f.Confidence = diagnose.Likely
			f.Message += fmt.Sprintf(" It could not prepare them: %s%s.", prepareMeans(e.Message), quote(e.Message))
			f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
			break
		}
	}
	return f, true
}
