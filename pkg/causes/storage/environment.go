package storage

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// missingEnvironment finds the ConfigMap or Secret that a container takes its environment from and that does not
// exist. Kubelet says so in the container's state, as CreateContainerConfigError (pkg/kubelet/kubelet_pods.go).
func missingEnvironment(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Object == nil || p.State != stuck.CreateContainerConfigError {
		return diagnose.Finding{}, false
	}
	for _, l := range [][]corev1.ContainerStatus{p.Object.Status.InitContainerStatuses, p.Object.Status.ContainerStatuses} {
		for i := range l {
			w := l[i].State.Waiting
			if w == nil || w.Reason != "CreateContainerConfigError" {
				continue
			}
			m := notFound.FindStringSubmatch(w.Message)
			if m == nil {
				continue
			}
			f := missingFor(s, p, m, "container "+l[i].Name)
			f.Evidence = []diagnose.Evidence{{
				Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", l[i].Name), Value: w.Reason + ": " + w.Message,
			}}
			return f, true
		}
	}
	// An older kubelet, or a copy of the pod without its status, has it in the event alone.
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		m := notFound.FindStringSubmatch(e.Message)
		if m == nil || e.Reason != "" && e.Reason != "Failed" && e.Reason != "FailedSync" {
			continue
		}
		f := missingFor(s, p, m, "a container of the pod")
		f.Evidence = []diagnose.Evidence{diagnose.EventEvidence(e)}
		if f.Confidence != diagnose.Certain {
			f.Alternatives = []string{"config-missing-key"}
			f.Decide = "Whether {subject} exists now. The kubelet asks for the object first, and for its keys when it is there."
		}
		return f, true
	}
	return diagnose.Finding{}, false
}

// missingFor speaks for the object that the kubelet did not find; m is what notFound has found in its words.
func missingFor(s *snapshot.Snapshot, p stuck.Pod, m []string, who string) diagnose.Finding {
	kind := snapshot.ConfigMap
	if strings.EqualFold(m[1], "secret") {
		kind = snapshot.Secret
	}
	ref := snapshot.Ref{Kind: kind, Namespace: p.Ref.Namespace, Name: m[2]}
	confidence, text := diagnose.Likely, "%s %s/%s was not there when the kubelet looked, and %s takes its environment from it."
	switch s.Has(kind, ref.Namespace, ref.Name) {
	case snapshot.Absent:
		confidence, text = diagnose.Certain, "%s %s/%s does not exist, and %s takes its environment from it."
	case snapshot.Present:
		confidence, text = diagnose.Possible, "%s %s/%s exists by now; %s takes its environment from it, and starts when the kubelet looks again."
	}
	return diagnose.Finding{Subject: ref, Confidence: confidence, Message: fmt.Sprintf(text, kind, ref.Namespace, ref.Name, who)}
}
