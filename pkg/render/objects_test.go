package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// withoutPods is a cluster in which no pod is stuck, because those that would be cannot be created, and a namespace does not go.
func withoutPods() *report.Report {
	object := func(kind snapshot.Kind, namespace, name string, wanted, created int, d time.Duration, findings ...report.Finding) report.Object {
		x := report.Object{
			Kind: kind, Namespace: namespace, Name: name, UID: uid(namespace, name), State: stuck.NoPods, Since: ago(d), StuckForSeconds: int64(d.Seconds()),
			Wanted: wanted, Created: created, Findings: findings, Next: "kubectl stuck explain ST504",
		}
		if kind == snapshot.Namespace {
			x.State = stuck.Going
		}
		return x
	}
	webhook := report.Finding{
		Code: "ST504", Slug: "webhook-blocks-create", Title: "Admission refuses new pods", Subject: ref(snapshot.ValidatingWebhookConfiguration, "", "policy-engine"),
		Reach: scope.ReachShared, Confidence: scope.Certain,
		Message: "The API server cannot create pods without webhook check.policy.example, and fails to call it: its Service policy/engine has no ready endpoint (of 0). So deployment shop/cart has 0 of 3 pods of its present template.",
		Evidence: []diagnose.Evidence{{
			Object: "event of replicaset shop/cart-5d8", Field: "FailedCreate", Count: 14, Last: ago(2 * time.Minute),
			Value: `Error creating: Internal error occurred: failed calling webhook "check.policy.example": failed to call webhook: Post "https://engine.policy.svc:443/check?timeout=10s": no endpoints available for service "engine"`,
		}},
	}
	remains := report.Finding{
		Code: "ST510", Slug: "namespace-content-remaining", Title: "A namespace does not go because something in it does not", Subject: ref(snapshot.Namespace, "", "preview-17"),
		Reach: scope.ReachPod, Confidence: scope.Certain, Message: "Namespace preview-17 is being deleted and cannot go. 1 pod holds it (preview-17/db-0).",
		Evidence: []diagnose.Evidence{{Object: "pod preview-17/db-0", Field: "metadata.deletionTimestamp", Value: "2026-03-22T09:40:00Z"}},
	}
	r := report.Report{
		Summary: report.Summary{StuckObjects: 4, Pods: 93, Nodes: 4, Complete: true},
		Objects: []report.Object{
			object(snapshot.Namespace, "", "preview-17", 0, 0, 34*time.Minute, remains),
			object(snapshot.DaemonSet, "ops", "log-shipper", 5, 3, 9*time.Minute),
			object(snapshot.Deployment, "shop", "cart", 3, 0, 12*time.Minute, webhook),
			object(snapshot.StatefulSet, "shop", "ledger", 3, 1, 11*time.Minute, webhook),
		},
	}
	r.Objects[1].Unexplained = &report.Unexplained{LookedAt: []string{"its status: it wants 5 pods, and 3 were created", "FailedCreate of daemonset ops/log-shipper: Error creating: pods \"log-shipper-\" is forbidden: strange"}}
	return base(r)
}

func TestNothingIsNotSaidToBeStuckWhereObjectsAre(t *testing.T) {
	for _, o := range []render.Options{{View: render.Pods, Width: 100}, {View: render.Pods, Format: render.Wide, Width: 100}, {Format: render.HTML}} {
		got := draw(t, withoutPods(), o)
		if strings.Contains(got, "Nothing") {
			t.Errorf("%+v says that nothing is stuck:\n%s", o, got)
		}
		for _, want := range []string{"cart", "ledger", "log-shipper", "preview-17", "ST504", "ST510", "unexplained"} {
			if !strings.Contains(got, want) {
				t.Errorf("%+v does not mention %s:\n%s", o, want, got)
			}
		}
	}
}

func TestNamesAreThoseOfPodsOnly(t *testing.T) {
	if got := draw(t, withoutPods(), render.Options{View: render.Pods, Format: render.Name}); got != "" {
		t.Errorf("kubectl would be given objects that are no pods: %q", got)
	}
}

func TestWhatExplainsSeveralObjectsIsToldOnce(t *testing.T) {
	got := draw(t, withoutPods(), render.Options{View: render.Pods, Width: 100})
	if n := strings.Count(got, "fails to call it"); n != 1 {
		t.Errorf("the finding is told %d times:\n%s", n, got)
	}
}
