package storage

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func pvcProtection() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST321", Slug: "pvc-protection", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{
			snapshot.CustomResourceDefinition, snapshot.DaemonSet, snapshot.Deployment, snapshot.Event, snapshot.Lease, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim, snapshot.StatefulSet,
		},
		Doc: diagnose.Doc{
			Title:     "A claim of the pod is being deleted and is still in use",
			Symptom:   "A new pod is Pending with \"persistentvolumeclaim … is being deleted\"; the claim is Terminating with the finalizer kubernetes.io/pvc-protection.",
			Mechanism: "A claim that somebody deleted stays until no pod uses it. The scheduler does not place new pods that name it, and the pods that use it keep it alive, so it neither goes nor serves.",
			Confirm:   []string{"kubectl describe pvc {subject} -n {namespace}", "kubectl get pods -n {namespace} -o wide"},
			Remedies: []diagnose.Remedy{
				{ID: "delete-users", Risk: diagnose.RiskMedium, Text: "Let the deletion finish: end the pods that describe shows under Used By. If the volume's reclaim policy is Delete, its data goes with it: back it up first.", Command: "kubectl describe pvc {subject} -n {namespace}"},
				{ID: "free-finalizer", Risk: diagnose.RiskMedium, Text: "If a finalizer of another project keeps the claim, bring its controller back or let it end its work (a snapshot, a copy): it removes the finalizer itself.", Command: "kubectl get pvc {subject} -o jsonpath='{.metadata.finalizers}' -n {namespace}"},
				{ID: "keep-volume", Risk: diagnose.RiskMedium, Text: "To keep the data: set the volume's persistentVolumeReclaimPolicy to Retain before the claim goes, and bind a new claim to it. A deletion cannot be taken back."},
			},
			Refs: []string{"https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection", "kubernetes: pkg/scheduler/framework/plugins/volumebinding/volume_binding.go"},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Confidence: diagnose.Likely}
			f.Evidence = scheduling(s, p, diagnose.Text{All: []string{"persistentvolumeclaim", "is being deleted"}})
			if len(f.Evidence) == 0 {
				return f, false
			}
			for _, v := range volume.Of(s, p.Object) {
				if v.PVC == nil || v.PVC.DeletionTimestamp == nil {
					continue
				}
				f.Confidence = diagnose.Certain
				f.Subject = snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: p.Ref.Namespace, Name: v.Claim}
				f.Message = fmt.Sprintf("Claim %s/%s was deleted %s, and no new pod is placed with it.", p.Ref.Namespace, v.Claim, scope.Ago(s.Now().Sub(v.PVC.DeletionTimestamp.Time)))
				for _, o := range finalizer.OfAll(s, f.Subject, v.PVC) {
					f.Message += " " + keptBy(s, o, f.Subject)
					f.Evidence = append(f.Evidence, o.Evidence...)
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: f.Subject.String(), Field: "metadata.deletionTimestamp", Value: v.PVC.DeletionTimestamp.UTC().String()})
				return f, true
			}
			if !volume.Unread(s, snapshot.PersistentVolumeClaim) {
				return f, false // the claim of today is not being deleted
			}
			f.Message = fmt.Sprintf("The scheduler does not place pod %s/%s, because a claim that it names is being deleted.", p.Ref.Namespace, p.Ref.Name)
			return f, true
		},
	}
}

// keptBy says what one finalizer keeps the claim for.
func keptBy(s *snapshot.Snapshot, o finalizer.Owner, claim snapshot.Ref) string {
	if !o.BuiltIn {
		out := fmt.Sprintf("Its finalizer %s belongs to %s.", o.Finalizer, o)
		if o.Leaks != "" {
			out += " If it is removed by hand, " + o.Leaks + "."
		}
		return out
	}
	switch {
	case o.Alive == finalizer.Gone:
		return fmt.Sprintf("Its finalizer %s is not removed, because %s.", o.Finalizer, o.Why)
	case len(finalizer.UsersOf(s, claim.Namespace, claim.Name)) > 0:
		return fmt.Sprintf("Its finalizer %s has to %s.", o.Finalizer, o.Todo)
	default:
		return fmt.Sprintf("Its finalizer %s has to %s; which pod does is not known here: pods on nodes that were not read count, and those that have ended.", o.Finalizer, o.Todo)
	}
}
