package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

func running(name, kind, owner string, change func(*corev1.Pod)) *corev1.Pod {
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": owner}},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{
			Phase:             corev1.PodRunning,
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	if kind != "" {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: owner, Controller: &yes}}
	}
	if change != nil {
		change(p)
	}
	return p
}

func deleting(p *corev1.Pod) {
	t, grace := ago(5*time.Minute), int64(30)
	p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, &grace
}

// story is a node with one stuck pod, pods of every kind of owner, a volume and a budget.
func story(t *testing.T, o report.Options) *report.Report {
	t.Helper()
	pv := "pv-1"
	objects := []runtime.Object{
		&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"node-role.kubernetes.io/worker": "", "kubernetes.io/hostname": "n1", "disk": "ssd"}},
			Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "pool", Value: "a", Effect: corev1.TaintEffectNoSchedule}}},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue},
			}},
		},
		&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n1"}, Spec: coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: now.Add(-3 * time.Second)}}},
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "va"}, Spec: storagev1.VolumeAttachmentSpec{Attacher: "csi.example.com", NodeName: "n1", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv}}, Status: storagev1.VolumeAttachmentStatus{Attached: true}},
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}}},
		&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "e"}, InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: "n1", UID: "n1"}, Reason: "Rebooted", LastTimestamp: ago(time.Minute)},
		running("cart-0", "StatefulSet", "cart", deleting),
		running("agent-x", "DaemonSet", "agent", nil),
		running("web-1", "ReplicaSet", "web", nil),
		running("tool", "", "", func(p *corev1.Pod) {
			p.Finalizers = []string{"example.com/hold"}
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		}),
	}
	b := snapshot.NewBuilder()
	var census snapshot.Census
	for _, obj := range objects {
		if !b.Add(obj) {
			t.Fatalf("a snapshot does not hold %T", obj)
		}
		if p, ok := obj.(*corev1.Pod); ok {
			st := snapshot.StatusOf(p)
			census.Add("n1", st.Word, st.Ready, st.Containers)
		}
	}
	for _, k := range snapshot.Kinds() {
		b.SetComplete(k.Kind, "")
	}
	b.SetCensus(census)
	b.SetOrigin(snapshot.Origin{Path: "some/dump"})
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	cause := diagnose.Cause{Code: "ST999", Slug: "made-up", Reach: scope.ReachPod, Doc: diagnose.Doc{Title: "T"}, Pod: func(*snapshot.Snapshot, stuck.Pod) (diagnose.Finding, bool) {
		return diagnose.Finding{Confidence: diagnose.Likely, ClearsBy: now.Add(time.Minute), ClearsWhy: "because"}, true
	}}
	found := stuck.Find(s, stuck.Options{})
	return report.Build(s, found, diagnose.Run(s, found, []diagnose.Cause{cause}), o)
}

func TestTheStoryOfANodeSaysWhatDeletingItWouldMean(t *testing.T) {
	r := story(t, report.Options{Stories: []string{"n1"}})
	if len(r.Nodes) != 1 {
		t.Fatalf("%d nodes", len(r.Nodes))
	}
	n := r.Nodes[0]
	said := strings.Join(n.IfDeleted, "\n")
	for _, want := range []string{
		"force-deletes all 4 pods", "1 pods that nobody makes again are lost: shop/tool", "1 StatefulSet pods may come to run twice",
		"have finalizers", "1 DaemonSet pods", "1 volumes stay attached", "its kubelet is alive", "disk=ssd", "node-role.kubernetes.io/worker=", "pool=a:NoSchedule",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "kubernetes.io/hostname") {
		t.Error("a label that kubelet writes itself is called lost")
	}
	if !slices.Equal(n.Roles, []string{"worker"}) || n.Total != 4 || n.Stuck != 1 || len(n.HealthyPods) != 3 || len(n.Volumes) != 1 || !n.Volumes[0].Attached || len(n.Budgets) != 1 || n.Budgets[0].Pods != 1 || len(n.Events) != 1 {
		t.Errorf("%+v", n)
	}
	for _, c := range n.Conditions {
		if c.Bad != (c.Type == "DiskPressure") {
			t.Errorf("condition %s: bad %t", c.Type, c.Bad)
		}
	}
}

func TestACauseThatKnowsWhenItClearsIsHeard(t *testing.T) {
	p := story(t, report.Options{}).Groups[0].Pods[0]
	if p.ClearsBy == nil || !p.ClearsBy.Equal(now.Add(time.Minute)) || p.ClearsWhy != "because" {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsNotAskedForIsNotShownAndStillCounts(t *testing.T) {
	none := story(t, report.Options{Select: func(stuck.Pod) bool { return false }})
	if len(none.Groups) != 0 || none.Summary.StuckPods != 0 || none.Summary.Pods != 4 {
		t.Errorf("%+v", none.Summary)
	}
	all := story(t, report.Options{})
	if g := all.Groups[0]; g.Total != 4 || g.Stuck != 1 || !strings.HasSuffix(g.Next, "--from some/dump") {
		t.Errorf("%+v", g)
	}
}

func TestTheOverviewHasOnlyNodesWithSomethingWrong(t *testing.T) {
	if r := story(t, report.Options{Overview: true}); len(r.Nodes) != 1 || r.Nodes[0].Name != "n1" || r.Nodes[0].Conditions != nil {
		t.Errorf("%+v", r.Nodes)
	}
}
