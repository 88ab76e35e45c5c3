package report_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// objectsReport is about a Deployment in each of two namespaces, and a third namespace that does not go.
func objectsReport(t *testing.T, o report.Options) *report.Report {
	t.Helper()
	b := snapshot.NewBuilder()
	three, at := int32(3), ago(10*time.Minute)
	for _, ns := range []string{"shop", "blog"} {
		b.Add(&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web", UID: "u"}, Spec: appsv1.DeploymentSpec{Replicas: &three},
			Status: appsv1.DeploymentStatus{ObservedGeneration: 1, UpdatedReplicas: 1, Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", LastTransitionTime: at},
			}},
		})
	}
	b.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "old", DeletionTimestamp: &at}})
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	return report.Build(s, found, diagnose.Run(s, found, nil), o)
}

func TestObjectsAreReportedUnlessPodsWereChosen(t *testing.T) {
	for name, c := range map[string]struct {
		options report.Options
		want    int
	}{
		"everything":                     {report.Options{}, 3},
		"one namespace":                  {report.Options{Asked: report.Asked{Namespace: "shop"}}, 1},
		"the namespace that does not go": {report.Options{Asked: report.Asked{Namespace: "old"}}, 1},
		"pods by name":                   {report.Options{Asked: report.Asked{Namespace: "shop", Names: []string{"web-0"}}}, 0},
		"pods of a node":                 {report.Options{Asked: report.Asked{Nodes: []string{"n1"}}}, 0},
		"pods by state":                  {report.Options{Asked: report.Asked{States: []string{"Terminating"}}}, 0},
		"pods by label":                  {report.Options{Asked: report.Asked{LabelSelector: "app=web"}}, 0},
		"nodes":                          {report.Options{Overview: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := objectsReport(t, c.options)
			if len(r.Objects) != c.want || r.Summary.StuckObjects != c.want || r.Objects == nil {
				t.Errorf("%d objects, the summary counts %d, want %d", len(r.Objects), r.Summary.StuckObjects, c.want)
			}
		})
	}
	x := objectsReport(t, report.Options{Asked: report.Asked{Namespace: "shop"}}).Objects[0]
	if x.State != stuck.NoPods || x.Wanted != 3 || x.Created != 1 || x.StuckFor != "10m" || x.StuckForSeconds != 600 || x.Unexplained == nil || x.Next == "" {
		t.Errorf("got %+v", x)
	}
}
