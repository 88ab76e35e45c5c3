package source

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Tally is one workload as a Table shows it. A live server's rows carry no namespace when all are counted.
type Tally struct {
	Name string
	// Wanted is how many pods it wants (of a Job, how many are to complete), and Have what the Table tells of those that there are: of a Deployment
	// the pods of its present template, of a ReplicaSet and a DaemonSet those created, of a StatefulSet those Ready, of a Job those completed.
	Wanted, Have int
	// Over tells of a Job that it has ended or makes no pods now; where a server's Table does not say so, it is false.
	Over bool
}

// Short tells whether the workload may have fewer pods than it wants, and errs on the side of yes: see snapshot.PodsOf.
func (t Tally) Short() bool { return !t.Over && t.Have < t.Wanted }

// TallyOf makes the row of a workload, for a Backend that has full objects; false for anything else. It follows the columns of
// pkg/printers/internalversion (Kubernetes 1.37).
func TallyOf(o runtime.Object) (Tally, bool) {
	if j, ok := o.(*batchv1.Job); ok {
		t := Tally{Name: j.Name, Wanted: 1, Have: int(j.Status.Succeeded), Over: snapshot.JobIsOver(j)}
		if j.Spec.Completions != nil {
			t.Wanted = int(*j.Spec.Completions)
		}
		return t, true
	}
	wanted, have, ok := snapshot.PodsOf(o)
	if !ok {
		return Tally{}, false
	}
	if s, is := o.(*appsv1.StatefulSet); is {
		have = int(s.Status.ReadyReplicas)
	}
	return Tally{Name: nameOf(o).Name, Wanted: wanted, Have: have}, true
}
