package startup

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

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
			Symptom:   `CreateContainerConfigError with "couldn't find key …", or ContainerCreating with FailedMount: "references non-existent config key". The object itself exists.`,
			Mechanism: "An environment variable, or a file of a volume, is taken from one key of a ConfigMap or Secret and is not optional. Kubelet finds the object without that key and does not start the container.",
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
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod:      configMissingKeyPod,
		Log:      diagnose.Lines("couldn't find key", "references non-existent config key", "references non-existent secret key"),
	}
}

// missingKey reads kubelet's "couldn't find key <key> in ConfigMap <namespace>/<name>" (pkg/kubelet/kubelet_pods.go).
var missingKey = regexp.MustCompile(`couldn't find key (\S+) in (ConfigMap|Secret) ([^/\s"]+)/([^\s",]+)`)

func configMissingKeyPod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	switch {
	case p.Object == nil:
		return diagnose.Finding{}, false
	case p.State == stuck.ContainerCreating || p.State == stuck.PodInitializing || p.State == stuck.Init || p.State == stuck.Pending:
		return volumeLacksKey(s, p)
	case p.State != stuck.CreateContainerConfigError:
		return diagnose.Finding{}, false
	}
	for _, c := range statuses(p.Object) {
		if w := c.State.Waiting; w != nil {
			if f, ok := lacksKey(p, w.Message, c.Name, diagnose.Evidence{
				Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name), Value: w.Reason + ": " + w.Message,
			}); ok {
				return f, true
			}
		}
	}
	for _, e := range slices.Backward(diagnose.Events(s, p)) {
		if told(e, "Failed") {
			if f, ok := lacksKey(p, e.Message, "", diagnose.EventEvidence(e)); ok {
				f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
				return f, true
			}
		}
	}
	return diagnose.Finding{}, false
}

// lacksKey reads what the kubelet says of one container; its name is empty where that is not known.
func lacksKey(p stuck.Pod, said, container string, ev diagnose.Evidence) (diagnose.Finding, bool) {
	who := "a container of the pod"
	if container != "" {
		who = "container " + container
	}
	if m := missingKey.FindStringSubmatch(said); m != nil {
		return diagnose.Finding{
			Subject: snapshot.Ref{Kind: snapshot.Kind(m[2]), Namespace: m[3], Name: m[4]}, Confidence: diagnose.Certain, Evidence: []diagnose.Evidence{ev},
			Message: fmt.Sprintf("%s %s/%s has no key %q, which %s takes its environment from.", m[2], m[3], m[4], m[1], who),
		}, true
	}
	if m := missingFileKey.FindStringSubmatch(said); m != nil {
		return diagnose.Finding{
			Subject: p.OwnerOrSelf(), Reach: scope.ReachPod, Confidence: diagnose.Certain, Evidence: []diagnose.Evidence{ev},
			Message: fmt.Sprintf("The environment file %s has no key %q, which %s takes its environment from.", m[2], m[1], who),
		}, true
	}
	return diagnose.Finding{}, false
}

// missingFileKey reads the kubelet's words for a key of an environment file (fileKeyRef, Kubernetes 1.34), ibid.
var missingFileKey = regexp.MustCompile(`environment variable key "([^"]+)" not found in file "([^"]+)"`)

// unmountedKey reads kubelet's "references non-existent config key: <key>" (pkg/volume/configmap, pkg/volume/secret); the key is told since Kubernetes 1.11.
var unmountedKey = regexp.MustCompile(`references non-existent (config|secret) key(?:: *([-._a-zA-Z0-9]+))?`)

// volumeLacksKey speaks for a volume that is to have a file for a key that its ConfigMap or Secret does not have.
func volumeLacksKey(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	ev := diagnose.Said(s, p, diagnose.Text{Any: []string{"references non-existent config key", "references non-existent secret key"}})
	if len(ev) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.OwnerOrSelf(), Reach: scope.ReachPod, Confidence: diagnose.Fresh(s, diagnose.Certain, ev), Evidence: ev,
		Message: fmt.Sprintf("A volume of pod %s/%s asks for a key that its ConfigMap or Secret does not have.", p.Ref.Namespace, p.Ref.Name),
	}
	m := unmountedKey.FindStringSubmatch(ev[len(ev)-1].Value)
	if m == nil {
		return f, true
	}
	kind := snapshot.ConfigMap
	if m[1] == "secret" {
		kind = snapshot.Secret
	}
	if key := strings.TrimRight(m[2], "."); key != "" {
		f.Message = fmt.Sprintf("A volume of pod %s/%s asks for the key %q, which its %s does not have.", p.Ref.Namespace, p.Ref.Name, key, kind)
		if names := askedFor(p.Object, kind, key); len(names) == 1 {
			f.Subject, f.Reach = snapshot.Ref{Kind: kind, Namespace: p.Ref.Namespace, Name: names[0]}, scope.ReachShared
			f.Message = fmt.Sprintf("%s %s/%s has no key %q, which a volume of the pod asks for.", kind, p.Ref.Namespace, names[0], key)
		}
	}
	return f, true
}

// askedFor lists the objects of the kind from which a volume of the pod takes the key.
func askedFor(p *corev1.Pod, kind snapshot.Kind, key string) []string {
	var out []string
	add := func(k snapshot.Kind, name string, items []corev1.KeyToPath) {
		if k == kind && !slices.Contains(out, name) && slices.ContainsFunc(items, func(i corev1.KeyToPath) bool { return i.Key == key }) {
			out = append(out, name)
		}
	}
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.ConfigMap != nil {
			add(snapshot.ConfigMap, v.ConfigMap.Name, v.ConfigMap.Items)
		}
		if v.Secret != nil {
			add(snapshot.Secret, v.Secret.SecretName, v.Secret.Items)
		}
		if v.Projected == nil {
			continue
		}
		for _, src := range v.Projected.Sources {
			if src.ConfigMap != nil {
				add(snapshot.ConfigMap, src.ConfigMap.Name, src.ConfigMap.Items)
			}
			if src.Secret != nil {
				add(snapshot.Secret, src.Secret.Name, src.Secret.Items)
			}
		}
	}
	return out
}
