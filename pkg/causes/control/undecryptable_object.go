package control

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func undecryptableObject() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST512", Slug: "undecryptable-object",
		Doc: diagnose.Doc{
			Title:   "The API server cannot decrypt or decode objects in its storage",
			Symptom: "Pods stay in ContainerCreating or CreateContainerConfigError because a Secret cannot be fetched; lists of one kind (Secrets, mostly) fail as a whole; namespaces with such an object do not go.",
			Mechanism: "An object was stored under an encryption key, or by a KMS plugin, that the API server does not have now, or its bytes are damaged. Reading it fails, and so does every list that it is in: " +
				"controllers that watch the kind stand still, kubelets do not get their Secrets, and the namespace controller cannot delete what it cannot read. It happens after a key was taken out of the encryption configuration before everything was written anew, " +
				"after a restore from a backup, and where the API servers do not all have the same configuration.",
			Confirm: []string{
				"kubectl get secrets -A -o name",
				"kubectl get --raw /readyz?verbose",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-key", Risk: diagnose.RiskNone, Text: "Put the key back into the encryption configuration of every API server, as one to read with, or bring the KMS plugin back; then write all objects of the kind anew before a key is taken out.", Command: "kubectl get --raw /readyz?verbose"},
				{ID: "restore-backup", Risk: diagnose.RiskHigh, Text: "If the key is lost, restore the object from a backup, or have its owner create it again after it was removed."},
				{
					ID: "unsafe-delete", Risk: diagnose.RiskDataLoss,
					Text: "Last resort: delete the object without reading it (DeleteOptions ignoreStoreReadErrorWithClusterBreakingPotential: Kubernetes 1.37, or 1.32 with the feature gate AllowUnsafeMalformedObjectDeletion). No finalizer and no grace period is heeded, and what the object stood for is left behind.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/",
				"https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/3926-handling-undecryptable-resources",
				"https://github.com/kubernetes/kubernetes/issues/66844",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/staging/src/k8s.io/apiserver/pkg/storage/etcd3/store.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Signature: &diagnose.Signature{
			Events:     []diagnose.EventMatch{{Text: unreadable()}},
			Waiting:    []diagnose.WaitingMatch{{Text: unreadable()}},
			Confidence: diagnose.Certain,
			Say:        "The API server cannot read an object that pod {pod} needs out of its storage: the key that it was encrypted with is missing, or its bytes are damaged.",
		},
		Cluster: unreadableKinds,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"unable to transform key"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"no matching prefix found", "failed to list"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"failed to decrypt data"}}, Confidence: diagnose.Likely},
			{Text: diagnose.Text{All: []string{"failed to decrypt DEK"}}, Confidence: diagnose.Likely},
			{Text: diagnose.Text{All: []string{"StorageError: corrupt object"}}, Confidence: diagnose.Certain},
		},
	}
}

// unreadable is how the API server says it (apiserver/pkg/storage/etcd3 and storage/errors.go, server/options/encryptionconfig,
// storage/value/encrypt/envelope).
func unreadable() diagnose.Text {
	return diagnose.Text{Any: []string{
		"unable to transform key", "no matching prefix found", "failed to decrypt DEK", "StorageError: corrupt object", "data from the storage is not transformable",
	}}
}

// unreadableKinds goes by this tool's own reads: a kind whose list failed for that reason is one that kubelets and controllers do not get either.
func unreadableKinds(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	var out []diagnose.Finding
	for _, g := range s.Gaps() {
		if !unreadable().Match(g.Detail) {
			continue
		}
		f := diagnose.Finding{
			Subject:    snapshot.Ref{Kind: g.Kind, Namespace: g.Namespace, Name: g.Name},
			Confidence: diagnose.Likely,
			Evidence:   []diagnose.Evidence{{Object: string(g.Kind), Field: "what the API server answered", Value: g.Detail}},
			Decide:     "Whether the object that the pod waits for is the one that cannot be read: get it by name.",
		}
		for _, p := range all(r) {
			if (g.Namespace == "" || g.Namespace == p.Ref.Namespace) && needsKind(p.Pod, g.Kind) {
				f.Explains = append(f.Explains, p.Ref)
			}
		}
		if len(f.Explains) == 0 {
			continue
		}
		if f.Subject.Name == "" {
			f.Subject = f.Explains[0]
		}
		f.Message = fmt.Sprintf("The API server cannot read objects of kind %s out of its storage; %s for one: %s.", g.Kind, waitVerb(len(f.Explains)), some(f.Explains))
		out = append(out, f)
	}
	return out
}

// needsKind tells whether a starting pod waits for an object of the kind that its spec names.
func needsKind(p stuck.Pod, k snapshot.Kind) bool {
	if !p.State.Starting() || p.Node == "" {
		return false
	}
	spec := &p.Object.Spec
	switch k {
	case snapshot.Secret:
		return len(spec.ImagePullSecrets) > 0 || slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
			return v.Secret != nil || v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(x corev1.VolumeProjection) bool { return x.Secret != nil })
		}) || environs(spec, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil }, func(v *corev1.EnvVarSource) bool { return v.SecretKeyRef != nil })
	case snapshot.ConfigMap:
		return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
			return v.ConfigMap != nil || v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(x corev1.VolumeProjection) bool { return x.ConfigMap != nil })
		}) || environs(spec, func(e corev1.EnvFromSource) bool { return e.ConfigMapRef != nil }, func(v *corev1.EnvVarSource) bool { return v.ConfigMapKeyRef != nil })
	case snapshot.PersistentVolumeClaim:
		return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil })
	default:
		return false
	}
}

func environs(spec *corev1.PodSpec, from func(corev1.EnvFromSource) bool, value func(*corev1.EnvVarSource) bool) bool {
	return slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.EnvFrom, from) || slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil && value(e.ValueFrom) })
	})
}
