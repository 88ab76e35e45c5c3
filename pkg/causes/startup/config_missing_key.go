package startup

import (
	"fmt"
	"regexp"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func configMissingKey() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST614", Slug: "config-missing-key",
		Doc: diagnose.Doc{
			Title:     "A ConfigMap or Secret lacks a key that the pod needs",
			Symptom:   `CreateContainerConfigError with "couldn't find key …". The object itself exists.`,
			Mechanism: "An environment variable is taken from one key of a ConfigMap or Secret and is not optional. Kubelet finds the object without that key and does not start the container.",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl describe configmap {subject} -n {namespace}",
				"kubectl describe secret {subject} -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "add-key", Risk: diagnose.RiskNone, Text: "Add the key to the object. Kubelet tries again by itself and starts the container within a minute or two."},
				{ID: "fix-workload", Risk: diagnose.RiskLow, Text: "Or correct the name of the key in the workload, or mark it optional; the workload replaces the pod."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/kubelet_pods.go",
			},
		},
		Reach: scope.ReachShared,
		Pod:   configMissingKeyPod,
	}
}

// missingKey reads kubelet's "couldn't find key <key> in ConfigMap <namespace>/<name>" (pkg/kubelet/kubelet_pods.go).
var missingKey = regexp.MustCompile(`couldn't find key (\S+) in (ConfigMap|Secret) ([^/\s"]+)/([^\s",]+)`)

func configMissingKeyPod(_ *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Object == nil || p.State != stuck.CreateContainerConfigError {
		return diagnose.Finding{}, false
	}
	for _, c := range statuses(p.Object) {
		if c.State.Waiting == nil {
			continue
		}
		m := missingKey.FindStringSubmatch(c.State.Waiting.Message)
		if m == nil {
			continue
		}
		return diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.Kind(m[2]), Namespace: m[3], Name: m[4]}, Confidence: diagnose.Certain,
			Message: fmt.Sprintf("%s %s/%s has no key %q, which container %s takes its environment from.", m[2], m[3], m[4], m[1], c.Name),
			Evidence: []diagnose.Evidence{{
				Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name),
				Value: c.State.Waiting.Reason + ": " + c.State.Waiting.Message,
			}},
		}, true
	}
	return diagnose.Finding{}, false
}
