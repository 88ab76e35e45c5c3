package control

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func jobTrackingFinalizerOrphan() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST501", Slug: "job-tracking-finalizer-orphan",
		Doc: diagnose.Doc{
			Title:   "The Job controller left its finalizer on the pod",
			Symptom: "A Job's pod has ended and was deleted, but its object stays: phase Succeeded or Failed, STATUS Completed or Error, deletionTimestamp set, finalizer batch.kubernetes.io/job-tracking.",
			Mechanism: "The job controller puts the finalizer on each pod and removes it when it has counted the pod, also when the Job is gone. It stays where that removal is lost in a race, " +
				"where the controller does not run, or where an admission webhook refuses or breaks every update of the pod.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.metadata.finalizers} {.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}' -n {namespace}",
				"kubectl get jobs -n {namespace}",
				`kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				"kubectl get lease kube-controller-manager -n kube-system",
			},
			Remedies: []diagnose.Remedy{
				{
					ID: "dry-run-removal", Risk: diagnose.RiskNone,
					Text:    "See first whether the API server would accept the removal. If a webhook answers instead, mend the webhook: the controller then removes the finalizer itself.",
					Command: `kubectl patch pod {pod} --type=merge -p '{"metadata":{"finalizers":null}}' --dry-run=server -o name -n {namespace}`,
				},
				{
					ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: `kubectl patch pod {pod} --type=json -p '[{"op":"test","path":"/metadata/finalizers/0","value":"batch.kubernetes.io/job-tracking"},{"op":"remove","path":"/metadata/finalizers/0"}]' -n {namespace}`,
					Text: "Remove that one finalizer. While the Job still exists and has not counted the pod, it counts it as lost and may run it again.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-tracking-with-finalizers",
				"https://github.com/kubernetes/kubernetes/issues/109429",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/job/job_controller.go",
			},
		},
		Reach:    scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Job, snapshot.Lease},
		Pod:      jobTrackingFinalizerOrphanPod,
	}
}

func jobTrackingFinalizerOrphanPod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Stage != stuck.FinalizersOnly || p.Object == nil || !slices.Contains(p.Object.Finalizers, batchv1.JobTrackingFinalizer) {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: p.Ref, Confidence: diagnose.Likely,
		Evidence: []diagnose.Evidence{
			{Object: p.Ref.String(), Field: "metadata.finalizers", Value: batchv1.JobTrackingFinalizer},
			{Object: p.Ref.String(), Field: "metadata.deletionGracePeriodSeconds", Value: "0"},
		},
		Alternatives: []string{"webhook-mutates-immutable-on-update", "webhook-unavailable-blocks-update", "control-plane-down"},
		Decide:       "Try the removal with --dry-run=server: it either passes, or names the webhook or the rule that refuses it.",
	}
	held := fmt.Sprintf("The final delete of pod %s was done %s ago; the finalizer %s holds its object", p.Ref.Name, scope.Short(p.For), batchv1.JobTrackingFinalizer)
	owner := finalizer.Of(s, p.Ref, p.Object, batchv1.JobTrackingFinalizer)
	job := jobOfTracked(s, p, held, &f)
	f.Evidence = append(f.Evidence, owner.Evidence[1:]...)
	switch owner.Alive {
	case finalizer.Gone:
		f.Message += fmt.Sprintf(" The Job controller does not work: %s.", owner.Why)
		f.Alternatives = []string{"control-plane-down"}
		f.Decide = owner.Decide
	case finalizer.Lives, finalizer.Slow:
		f.Message += fmt.Sprintf(" The Job controller works (%s), so that its removal is refused or was lost.", owner.Why)
		f.Alternatives = slices.DeleteFunc(f.Alternatives, func(a string) bool { return a == "control-plane-down" })
	case finalizer.Unknown:
	}
	if owner.Leaks != "" && job {
		f.Message += " If the finalizer is removed by hand, " + owner.Leaks + "."
	}
	return f, true
}

// jobOfTracked says what is known of the pod's Job, and tells whether it may still exist.
func jobOfTracked(s *snapshot.Snapshot, p stuck.Pod, held string, f *diagnose.Finding) bool {
	c := metav1.GetControllerOf(p.Object)
	if c == nil || c.Kind != string(snapshot.Job) {
		f.Message = held + ", although no Job owns the pod any more."
		return false
	}
	ref := snapshot.Ref{Kind: snapshot.Job, Namespace: p.Ref.Namespace, Name: c.Name}
	job := s.Job(p.Ref.Namespace, c.Name)
	switch {
	case job != nil && job.UID == c.UID || job != nil && (job.UID == "" || c.UID == ""):
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("%s, and the Job controller has not taken it away although the Job %s/%s exists.", held, ref.Namespace, ref.Name)
		if m := job.Spec.ManagedBy; m != nil && *m != batchv1.JobControllerName {
			f.Message = fmt.Sprintf("%s. The Job %s/%s is managed by %s, which has to take it away.", held, ref.Namespace, ref.Name, *m)
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "spec.managedBy", Value: *m})
		}
		return true
	case job != nil:
		f.Message = fmt.Sprintf("%s. The Job that owned it is gone; the Job %s/%s of today is another one of the same name.", held, ref.Namespace, ref.Name)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "metadata.uid", Value: string(job.UID)})
	case s.Has(snapshot.Job, ref.Namespace, ref.Name) == snapshot.Absent:
		f.Message = fmt.Sprintf("%s, and its Job %s/%s does not exist any more.", held, ref.Namespace, ref.Name)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: ref.String(), Field: "existence", Value: "does not exist"})
	default:
		f.Confidence = diagnose.Possible
		f.Message = fmt.Sprintf("%s. Whether its Job %s/%s still exists is not known.", held, ref.Namespace, ref.Name)
		return true
	}
	return false
}
