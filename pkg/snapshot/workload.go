package snapshot

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Workloads lists the kinds that make pods and that a snapshot can hold.
func Workloads() []Kind { return []Kind{Deployment, ReplicaSet, StatefulSet, DaemonSet, Job} }

// PodsOf tells how many pods a workload wants now, and how many of those its controller counted as objects, whether they run or not. Of a
// Deployment only pods of its present template count. ok is false for anything that makes no pods, or has ended or been suspended.
// The numbers are those of the status, and so as old as the last look of the controller.
func PodsOf(o runtime.Object) (wanted, created int, ok bool) {
	switch w := o.(type) {
	case *appsv1.Deployment:
		return orOne(w.Spec.Replicas), int(w.Status.UpdatedReplicas), true
	case *appsv1.ReplicaSet:
		return orOne(w.Spec.Replicas), int(w.Status.Replicas), true
	case *appsv1.StatefulSet:
		return orOne(w.Spec.Replicas), int(w.Status.Replicas), true
	case *appsv1.DaemonSet:
		return int(w.Status.DesiredNumberScheduled), int(w.Status.CurrentNumberScheduled), true
	case *batchv1.Job:
		if JobIsOver(w) {
			return 0, 0, false
		}
		// pkg/controller/job manageJob: never more at once than completions are missing; a pod that still ends may be waited for.
		want := orOne(w.Spec.Parallelism)
		if c := w.Spec.Completions; c != nil {
			want = min(want, int(*c)-int(w.Status.Succeeded)-failedIndexes(w))
		}
		have := int(w.Status.Active)
		if t := w.Status.Terminating; t != nil && w.Spec.PodReplacementPolicy != nil && *w.Spec.PodReplacementPolicy == batchv1.Failed {
			have += int(*t)
		}
		return max(want, 0), have, true
	default:
		return 0, 0, false
	}
}

// JobIsOver tells whether the Job makes no pods any more, or not now: it has ended or is about to, is suspended, or is being deleted.
func JobIsOver(j *batchv1.Job) bool {
	if j.DeletionTimestamp != nil || j.Spec.Suspend != nil && *j.Spec.Suspend {
		return true
	}
	for _, c := range j.Status.Conditions {
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobFailed, batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet:
			if c.Status == corev1.ConditionTrue {
				return true
			}
		}
	}
	return false
}

// failedIndexes is how many indexes of a Job have failed for good, so that no pod is made for them any more: spec.backoffLimitPerIndex. The status
// lists them as "1,3-5" (pkg/controller/job parseIndexesFromString, which leaves out what it cannot read as well).
func failedIndexes(j *batchv1.Job) int {
	if j.Status.FailedIndexes == nil || *j.Status.FailedIndexes == "" || j.Spec.Completions == nil {
		return 0
	}
	n := 0
	for part := range strings.SplitSeq(*j.Status.FailedIndexes, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil || first < 0 {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		n += max(min(last, int(*j.Spec.Completions)-1)-first+1, 0)
	}
	return n
}

func orOne(n *int32) int {
	if n == nil {
		return 1 // the default of the API
	}
	return int(*n)
}
