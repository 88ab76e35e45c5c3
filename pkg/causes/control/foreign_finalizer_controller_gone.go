package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func foreignFinalizerControllerGone() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST506", Slug: "foreign-finalizer-controller-gone",
		Doc: diagnose.Doc{
			Title:   "A finalizer that is not Kubernetes' own holds the pod",
			Symptom: "The pod's containers ended, the final delete was done, and the object stays with a finalizer of another project. Every pod with that finalizer stays.",
			Mechanism: "Whoever put the finalizer there wants to clean something up before the object goes, and removes the finalizer afterwards. If that controller was uninstalled, is down, " +
				"may not write to the pod, or cannot finish its clean-up, the object stays for good. Kubernetes never removes finalizers of others.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.metadata.finalizers}' -n {namespace}",
				"kubectl get pod {pod} -o yaml --show-managed-fields -n {namespace}",
				"kubectl get deployments,statefulsets -A",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-controller", Risk: diagnose.RiskNone, Text: "Find the controller that owns the finalizer, bring it back or read in its log what it waits for. It removes the finalizer itself.", Command: "kubectl get deployments,statefulsets -A"},
				{
					ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: `kubectl patch pod {pod} --type=json -p '[{"op":"test","path":"/metadata/finalizers/0","value":"{subject}"},{"op":"remove","path":"/metadata/finalizers/0"}]' -n {namespace}`,
					Text: "If the controller is gone for good, do its clean-up by hand, then remove that one finalizer. What it would have cleaned up (cloud resources, registrations, locks) leaks otherwise.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
				"https://kubernetes.io/blog/2021/05/14/using-finalizers-to-control-deletion/",
			},
		},
		Reach: scope.ReachShared,
		Pod:   foreignFinalizerControllerGonePod,
	}
}

// kindFinalizer stands for a finalizer as such, so that all pods that wait for the same owner are one finding.
const kindFinalizer snapshot.Kind = "Finalizer"

// settled is how long a working controller may take to clean up before its absence is the likelier explanation.
const settled = 10 * time.Minute

func foreignFinalizerControllerGonePod(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if p.Stage != stuck.FinalizersOnly || p.Object == nil {
		return diagnose.Finding{}, false
	}
	foreign := slices.DeleteFunc(slices.Clone(p.Object.Finalizers), ownFinalizer)
	if len(foreign) == 0 {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: kindFinalizer, Name: foreign[0]}, Confidence: diagnose.Possible,
		Evidence: []diagnose.Evidence{
			{Object: p.Ref.String(), Field: "metadata.finalizers", Value: strings.Join(p.Object.Finalizers, ", ")},
			{Object: p.Ref.String(), Field: "metadata.deletionGracePeriodSeconds", Value: "0"},
		},
		Alternatives: []string{"webhook-unavailable-blocks-update", "webhook-mutates-immutable-on-update"},
		Decide:       "Whether the finalizer's owner runs, what its log says of this pod, and whether the API server accepts the removal with --dry-run=server.",
	}
	if p.For >= settled {
		f.Confidence = diagnose.Likely
	}
	f.Message = fmt.Sprintf("Nothing but the finalizer %s holds the object; the final delete was done %s ago.", strings.Join(foreign, ", "), scope.Short(p.For))
	if w, ok := writerOf(p.Object, foreign[0]); ok {
		f.Message += fmt.Sprintf(" It was put there by %q", w.Manager)
		if w.Time != nil {
			f.Message += fmt.Sprintf(", %s ago", scope.Short(max(s.Now().Sub(w.Time.Time), 0)))
		}
		f.Message += ", which is gone, or waits for something."
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "metadata.managedFields[].manager", Value: w.Manager})
	} else {
		f.Message += " Who put it there is not recorded."
	}
	if domain, _, ok := strings.Cut(foreign[0], "/"); ok {
		f.Message += fmt.Sprintf(" Look for a controller of %s.", domain)
	}
	return f, true
}

// ownFinalizer tells whether Kubernetes itself sets and removes the finalizer on pods.
func ownFinalizer(f string) bool {
	return f == batchv1.JobTrackingFinalizer || f == metav1.FinalizerDeleteDependents || f == metav1.FinalizerOrphanDependents
}

// writerOf finds in managedFields who last set the finalizer. The set is written there as
// f:metadata → f:finalizers → v:"<finalizer>".
func writerOf(p *corev1.Pod, finalizer string) (metav1.ManagedFieldsEntry, bool) {
	var found metav1.ManagedFieldsEntry
	ok := false
	for _, m := range p.ManagedFields {
		if m.FieldsV1 == nil || m.Manager == "" || !strings.Contains(m.FieldsV1.GetRawString(), `"v:\"`+finalizer+`\""`) {
			continue
		}
		if !ok || m.Time != nil && (found.Time == nil || m.Time.After(found.Time.Time)) {
			found, ok = m, true
		}
	}
	return found, ok
}
