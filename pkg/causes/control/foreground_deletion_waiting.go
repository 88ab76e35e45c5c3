package control

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func foregroundDeletionWaiting() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST507", Slug: "foreground-deletion-waiting",
		Doc: diagnose.Doc{
			Title:   "The garbage collector keeps the pod until its dependents are gone",
			Symptom: "The pod was deleted with cascade foreground (or orphan). Its containers ended, and its object stays with the finalizer foregroundDeletion (or orphan).",
			Mechanism: "The garbage collector removes the finalizer when every object that names the pod as owner, with blockOwnerDeletion, is gone. " +
				"It waits for a dependent that is stuck itself, or does not work: kube-controller-manager down, or a group of the API that cannot be listed.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.metadata.finalizers} {.metadata.uid}' -n {namespace}",
				"kubectl get persistentvolumeclaims,pods -o custom-columns=KIND:.kind,NAME:.metadata.name,OWNER:.metadata.ownerReferences[*].uid -n {namespace}",
				"kubectl get apiservices",
			},
			Remedies: []diagnose.Remedy{
				{ID: "free-dependents", Risk: diagnose.RiskNone, Text: "See what holds the dependents and free that; the pod follows. An APIService that is not available stops the garbage collector as a whole.", Command: "kubectl get apiservices"},
				{
					ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: `kubectl patch pod {pod} --type=json -p '[{"op":"test","path":"/metadata/finalizers/0","value":"foregroundDeletion"},{"op":"remove","path":"/metadata/finalizers/0"}]' -n {namespace}`,
					Text: "Remove the finalizer. Dependents that still exist are then collected in the background, or are left over if the collector does not work.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/architecture/garbage-collection/#foreground-deletion",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/garbagecollector/garbagecollector.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Lease, snapshot.PersistentVolumeClaim},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Stage != stuck.FinalizersOnly || p.Object == nil {
				return diagnose.Finding{}, false
			}
			i := slices.IndexFunc(p.Object.Finalizers, func(f string) bool {
				return f == metav1.FinalizerDeleteDependents || f == metav1.FinalizerOrphanDependents
			})
			if i < 0 {
				return diagnose.Finding{}, false
			}
			name := p.Object.Finalizers[i]
			f := diagnose.Finding{
				Subject: p.Ref, Confidence: diagnose.Possible,
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "metadata.finalizers", Value: name}},
			}
			if deps := dependents(s, p.Object.UID, p.Ref.Namespace); len(deps) > 0 && name == metav1.FinalizerDeleteDependents {
				f.Confidence = diagnose.Certain
				f.Message = fmt.Sprintf("Pod %s was deleted with cascade foreground and waits for what it owns: %s.", p.Ref.Name, strings.Join(deps, ", "))
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: deps[0], Field: "metadata.ownerReferences[].uid", Value: string(p.Object.UID)})
				return f, true
			}
			found := "no dependent of it was found"
			if !s.Complete(snapshot.PersistentVolumeClaim, p.Ref.Namespace) {
				found = "what it owns could not be read in full"
			}
			f.Message = fmt.Sprintf("The garbage collector has not taken its finalizer %s off pod %s, %s after the final delete; %s.", name, p.Ref.Name, scope.Short(p.For), found)
			f.Alternatives = []string{"control-plane-down", "webhook-unavailable-blocks-update", "webhook-mutates-immutable-on-update"}
			f.Decide = "Whether kube-controller-manager renews its lease, whether all APIServices are available, and whether the API server accepts the removal with --dry-run=server."
			owner := finalizer.Of(s, p.Ref, p.Object, name)
			f.Evidence = append(f.Evidence, owner.Evidence[1:]...)
			switch owner.Alive {
			case finalizer.Gone:
				f.Message += fmt.Sprintf(" It does not work: %s.", owner.Why)
				f.Alternatives = []string{"control-plane-down"}
			case finalizer.Lives, finalizer.Slow:
				f.Message += fmt.Sprintf(" The program that it is in works: %s.", owner.Why)
				f.Alternatives = f.Alternatives[1:]
				f.Decide = "Whether all APIServices are available, and whether the API server accepts the removal with --dry-run=server."
			case finalizer.Unknown:
			}
			return f, true
		},
	}
}

// dependents names the objects that block the deletion of their owner.
func dependents(s *snapshot.Snapshot, owner types.UID, namespace string) []string {
	if owner == "" {
		return nil
	}
	var out []string
	for _, k := range []snapshot.Kind{snapshot.PersistentVolumeClaim, snapshot.Pod} {
		for _, o := range s.Objects(k) {
			m, ok := o.(metav1.Object)
			if !ok || m.GetNamespace() != namespace {
				continue
			}
			for _, r := range m.GetOwnerReferences() {
				if r.UID == owner && r.BlockOwnerDeletion != nil && *r.BlockOwnerDeletion {
					word := snapshot.Ref{Kind: k, Namespace: namespace, Name: m.GetName()}.String()
					if m.GetDeletionTimestamp() != nil {
						word += " (being deleted itself)"
					}
					out = append(out, word)
				}
			}
		}
	}
	return out
}
