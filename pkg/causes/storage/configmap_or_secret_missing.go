package storage

import (
	"cmp"
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

func configmapOrSecretMissing() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST326", Slug: "configmap-or-secret-missing", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.ConfigMap, snapshot.Event, snapshot.Secret},
		Doc: diagnose.Doc{
			Title:   "A ConfigMap or Secret that the pod needs does not exist",
			Symptom: "CreateContainerConfigError, or ContainerCreating with FailedMount: configmap or secret \"…\" not found.",
			Mechanism: "The kubelet mounts a ConfigMap or Secret volume, and takes a container's environment from one, only when the object is there, " +
				"unless the reference is marked optional. It tries again for as long as the pod exists.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get configmaps,secrets -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "create-object", Risk: diagnose.RiskNone, Text: "Create {subject} in namespace {namespace}, under the very name. The pod starts within two minutes; there is no need to delete it.", Command: "kubectl get configmaps,secrets -n {namespace}"},
				{ID: "correct-reference", Risk: diagnose.RiskLow, Text: "Or correct the name in the workload's template, or mark the reference optional.", Command: "kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.volumes}"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/configuration/configmap/",
				"https://kubernetes.io/docs/concepts/configuration/secret/#optional-secrets",
				"kubernetes: pkg/kubelet/util/manager/watch_based_manager.go",
			},
		},
		Pod: findMissingObject,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"not found", "MountVolume."}, Any: []string{"configmap", "secret"}, None: []string{"secretproviderclass"}}, Pattern: `(configmap|secret)s? \\*"[^"]+" not found`},
			{
				Text:       diagnose.Text{Any: []string{"Couldn't get configMap", "Couldn't get secret"}, All: []string{"not found"}},
				Confidence: diagnose.Likely,
			},
		},
	}
}

// reference is a ConfigMap or Secret that a volume of a pod names.
type reference struct {
	kind         snapshot.Kind
	name, volume string
	optional     bool
}

func references(p *corev1.Pod) []reference {
	var out []reference
	yes := func(b *bool) bool { return b != nil && *b }
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.ConfigMap != nil {
			out = append(out, reference{snapshot.ConfigMap, v.ConfigMap.Name, v.Name, yes(v.ConfigMap.Optional)})
		}
		if v.Secret != nil {
			out = append(out, reference{snapshot.Secret, v.Secret.SecretName, v.Name, yes(v.Secret.Optional)})
		}
		if v.Projected == nil {
			continue
		}
		for _, src := range v.Projected.Sources {
			if src.ConfigMap != nil {
				out = append(out, reference{snapshot.ConfigMap, src.ConfigMap.Name, v.Name, yes(src.ConfigMap.Optional)})
			}
			if src.Secret != nil {
				out = append(out, reference{snapshot.Secret, src.Secret.Name, v.Name, yes(src.Secret.Optional)})
			}
		}
	}
	return out
}

// The kubelet asks for "configmap" and the API for "configmaps"; both say "not found".
var notFound = regexp.MustCompile(`(?i)(configmap|secret)s? "([^"]+)" not found`)

func findMissingObject(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if e, ok := missingEnvironment(s, p); ok {
		return e, true
	}
	if !mounting(p) {
		return diagnose.Finding{}, false
	}
	complained := map[reference][]diagnose.Evidence{}
	for _, e := range diagnose.Events(s, p) {
		if diagnose.OwnWords(e.Reason) || e.Reason == "FailedScheduling" {
			continue
		}
		for _, m := range notFound.FindAllStringSubmatch(e.Message, -1) {
			k := reference{kind: snapshot.ConfigMap, name: m[2]}
			if strings.EqualFold(m[1], "secret") {
				k.kind = snapshot.Secret
			}
			complained[k] = append(complained[k], diagnose.EventEvidence(e))
		}
	}
	var gone, unfound []missing
	seen := map[reference]bool{}
	for _, r := range references(p.Object) {
		k := reference{kind: r.kind, name: r.name}
		if r.name == "" || r.optional || seen[k] {
			continue
		}
		seen[k] = true
		m := missing{ref: snapshot.Ref{Kind: r.kind, Namespace: p.Ref.Namespace, Name: r.name}, ev: complained[k][max(0, len(complained[k])-2):]}
		m.words = fmt.Sprintf("%s %s/%s (volume %s)", r.kind, m.ref.Namespace, m.ref.Name, r.volume)
		switch known := s.Has(r.kind, p.Ref.Namespace, r.name); {
		case known == snapshot.Absent:
			m.ev = append([]diagnose.Evidence{{Object: m.ref.String(), Field: "metadata", Value: "does not exist"}}, m.ev...)
			gone = append(gone, m)
		case known == snapshot.Unknown && len(m.ev) > 0:
			unfound = append(unfound, m)
		}
	}
	if len(gone) > 0 {
		words, ev := together(gone)
		verb := " does"
		if len(gone) > 1 {
			verb = " do"
		}
		return diagnose.Finding{
			Subject: gone[0].ref, Confidence: diagnose.Certain, Evidence: ev,
			Message: words + verb + " not exist, so the pod's volumes cannot be mounted.",
		}, true
	}
	if len(unfound) == 0 {
		return foreignObject(s, p, complained)
	}
	// The kubelet's word alone, which may be made good by now.
	words, ev := together(unfound)
	f := diagnose.Finding{
		Subject: unfound[0].ref, Confidence: diagnose.Possible, Evidence: ev,
		Message: fmt.Sprintf("The kubelet of node %s did not find %s when it last tried to mount the pod's volumes.", p.Node, words),
	}
	if diagnose.Fresh(s, diagnose.Certain, ev) == diagnose.Certain {
		f.Confidence = diagnose.Likely
	}
	return f, true
}

// missing is an object without which the pod's volumes cannot be mounted.
type missing struct {
	ref   snapshot.Ref
	words string
	ev    []diagnose.Evidence
}

func together(l []missing) (words string, ev []diagnose.Evidence) {
	var names []string
	for _, m := range l {
		names = append(names, m.words)
		ev = append(ev, m.ev...)
	}
	return strings.Join(names, ", "), ev
}

// foreignObject speaks for what the pod's volumes do not name themselves: a Secret that a driver is given.
func foreignObject(s *snapshot.Snapshot, p stuck.Pod, complained map[reference][]diagnose.Evidence) (diagnose.Finding, bool) {
	named := map[reference]bool{}
	for _, r := range references(p.Object) {
		named[reference{kind: r.kind, name: r.name}] = true
	}
	var keys []reference
	for k := range complained {
		if !named[k] {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return diagnose.Finding{}, false
	}
	slices.SortFunc(keys, func(a, b reference) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) })
	k := keys[0]
	namespace := p.Ref.Namespace
	ev := complained[k][max(0, len(complained[k])-2):]
	if m := inNamespace.FindStringSubmatch(ev[len(ev)-1].Value); len(m) > 2 && m[2] == k.name {
		namespace = m[1]
	}
	ref := snapshot.Ref{Kind: k.kind, Namespace: namespace, Name: k.name}
	f := diagnose.Finding{
		Subject: ref, Confidence: diagnose.Likely, Evidence: ev,
		Message: fmt.Sprintf("%s %s/%s, which a volume of the pod needs, was not found when node %s last tried to mount it.", k.kind, namespace, k.name, p.Node),
	}
	return f, s.Has(k.kind, namespace, k.name) != snapshot.Present
}

// inNamespace finds namespace and name of a Secret that the kubelet fetches for a driver (pkg/volume/csi: "fetching NodeStageSecretRef ns/name failed").
var inNamespace = regexp.MustCompile(`SecretRef ([a-z0-9-]+)/([a-zA-Z0-9.-]+)`)
