package source

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func newDeployment(namespace, name string, want, updated int32, says string) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = namespace, name
	d.Spec.Replicas = &want
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	d.Status.UpdatedReplicas, d.Status.ObservedGeneration = updated, 1
	if says != "" {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: says}}
	}
	return d
}

func newReplicaSet(namespace, name, of string, want, have int32) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{}
	rs.Namespace, rs.Name = namespace, name
	rs.Spec.Replicas, rs.Status.Replicas = &want, have
	rs.Labels = map[string]string{"app": of}
	if of != "" {
		yes := true
		rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = "1"
		rs.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: of, Controller: &yes}}
	}
	return rs
}

func newNamespace(name string, going bool) *corev1.Namespace {
	n := &corev1.Namespace{}
	n.Name, n.Status.Phase = name, corev1.NamespaceActive
	if going {
		t := metav1.NewTime(time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC))
		n.DeletionTimestamp, n.Status.Phase = &t, corev1.NamespaceTerminating
	}
	return n
}

// manyWell are Deployments that have the pods they want: more than are listed without choosing.
func manyWell(n int) []runtime.Object {
	var out []runtime.Object
	for i := range n {
		name := fmt.Sprintf("well-%03d", i)
		out = append(out, newDeployment("blog", name, 2, 2, ""), newReplicaSet("blog", name+"-1", name, 2, 2))
	}
	return out
}

func TestLoadReadsWorkloadsThatLackPodsAndNoOthers(t *testing.T) {
	event := &corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "ReplicaSet", Namespace: "shop", Name: "cart-1"}, Reason: "FailedCreate", Message: "no"}
	event.Namespace, event.Name = "shop", "e"
	quota := &corev1.ResourceQuota{}
	quota.Namespace, quota.Name = "shop", "compute"
	m := newMemory(slices.Concat(manyWell(60), []runtime.Object{
		newDeployment("shop", "cart", 3, 0, "exceeded quota: compute"), newReplicaSet("shop", "cart-1", "cart", 3, 0), newReplicaSet("shop", "cart-0", "cart", 0, 0),
		newDeployment("shop", "rolling", 3, 1, ""), newReplicaSet("shop", "rolling-1", "rolling", 3, 1),
		newReplicaSet("shop", "canary", "", 2, 0), newReplicaSet("shop", "steady", "", 2, 2), event, quota,
		newNamespace("shop", false), newNamespace("old", true), newNamespace("blog", false),
	})...)
	s := mustLoad(t, m, Query{Objects: true, Needs: allKinds()})
	for _, want := range []struct {
		kind      snapshot.Kind
		namespace string
		name      string
		has       bool
	}{
		{snapshot.Deployment, "shop", "cart", true},
		{snapshot.Deployment, "shop", "rolling", true},
		{snapshot.Deployment, "blog", "well-000", false},
		{snapshot.ReplicaSet, "shop", "cart-1", true},
		{snapshot.ReplicaSet, "shop", "cart-0", false},
		{snapshot.ReplicaSet, "shop", "rolling-1", false}, // its Deployment does not say that it is in trouble
		{snapshot.ReplicaSet, "shop", "canary", true},
		{snapshot.ReplicaSet, "shop", "steady", false},
		{snapshot.Namespace, "", "old", true},
		{snapshot.Namespace, "", "blog", false},
		{snapshot.ResourceQuota, "shop", "compute", true},
	} {
		if got := s.Has(want.kind, want.namespace, want.name) == snapshot.Present; got != want.has {
			t.Errorf("%s %s/%s: read=%v, want %v", want.kind, want.namespace, want.name, got, want.has)
		}
	}
	if len(s.Events(snapshot.Ref{Kind: snapshot.ReplicaSet, Namespace: "shop", Name: "cart-1"})) != 1 {
		t.Error("the events of the ReplicaSet were not read")
	}
	if got := m.requests("list Deployment in  where metadata.name="); len(got) != 2 || len(m.requests("list Deployment")) != 2 {
		t.Errorf("want the two that lack pods asked for by name: %v", m.requests("list Deployment"))
	}
	if got := m.requests("list ReplicaSet in  where"); len(got) > 1 {
		t.Errorf("ReplicaSets were listed: %v", got)
	}
	if got := m.requests("list Mutating"); len(got) > 0 {
		t.Errorf("nobody spoke of a webhook, and webhooks were read: %v", got)
	}
	if len(s.Gaps()) != 0 {
		t.Errorf("gaps: %v", s.Gaps())
	}
}

func TestLoadReadsWebhooksWhereAWorkloadSpeaksOfOne(t *testing.T) {
	m := newMemory(newDeployment("shop", "cart", 3, 0, `failed calling webhook "check.example"`), newNamespace("shop", false))
	mustLoad(t, m, Query{Objects: true, Needs: allKinds()})
	if len(m.requests("list MutatingWebhookConfiguration")) != 1 {
		t.Errorf("webhooks were not read: %v", m.asked)
	}
}

func TestLoadListsAllWhereManyLackPods(t *testing.T) {
	objects := manyWell(60)
	for i := range 30 {
		objects = append(objects, newDeployment("shop", fmt.Sprintf("cart-%02d", i), 3, 0, "no"))
	}
	m := newMemory(objects...)
	s := mustLoad(t, m, Query{Objects: true})
	if got := m.requests("list Deployment"); len(got) != 1 || strings.Contains(got[0], "where") {
		t.Errorf("want one list: %v", got)
	}
	if len(s.Deployments()) != 30 {
		t.Errorf("%d Deployments were kept, want the 30 that lack pods", len(s.Deployments()))
	}
}

// TestLoadOfAHealthyClusterCountsWorkloadsAndReadsNone is what looking for such objects costs where there are none: six requests, all of
// them answered from the watch cache, without an object in the answer.
func TestLoadOfAHealthyClusterCountsWorkloadsAndReadsNone(t *testing.T) {
	objects := slices.Concat(manyWell(60), crowd("shop", "node-a", 3), []runtime.Object{newNode("node-a", corev1.ConditionTrue), newNamespace("shop", false)})
	m, without := newMemory(objects...), newMemory(objects...)
	s := mustLoad(t, m, Query{Objects: true, Needs: allKinds()})
	mustLoad(t, without, Query{Needs: allKinds()})
	counts := m.requests("counts")
	if len(counts) != len(snapshot.Workloads()) {
		t.Errorf("counted %v, want each kind of workload once", counts)
	}
	if more := len(m.asked) - len(without.asked); more != len(counts)+1 {
		t.Errorf("%d more requests than without, want the counts and one list of namespaces: %v", more, m.asked)
	}
	if len(s.Deployments()) != 0 || len(s.Gaps()) != 0 {
		t.Errorf("%d Deployments, gaps %v", len(s.Deployments()), s.Gaps())
	}
}

func TestLoadPassesObjectsOverWherePodsAreChosen(t *testing.T) {
	for name, q := range map[string]Query{
		"pods by name":  {Namespace: "shop", Names: []string{"cart-1"}},
		"by label":      {LabelSelector: "app=cart"},
		"by field":      {FieldSelector: "spec.nodeName=node-a"},
		"nobody asked":  {},
		"everything of": {Namespace: "shop", Objects: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(newPod("shop", "cart-1", "node-a", creating), newDeployment("shop", "cart", 3, 0, "no"), newNamespace("shop", true))
			asks := q.Objects
			q.Objects = name != "nobody asked"
			mustLoad(t, m, q)
			if got := len(m.requests("counts")) > 0; got != asks {
				t.Errorf("counted workloads: %v, want %v", got, asks)
			}
			for _, c := range m.requests("counts") {
				if !strings.Contains(c, "in shop") {
					t.Errorf("asked about other namespaces: %s", c)
				}
			}
			if got := len(m.requests("get Namespace")) > 0; asks && !got {
				t.Error("the namespace itself was not looked at")
			}
		})
	}
}

func TestLoadGoesOnWithoutTheRightToReadWorkloads(t *testing.T) {
	m := newMemory(newPod("shop", "cart-1", "node-a", creating), newDeployment("shop", "cart", 3, 0, "no"))
	m.refuse = func(k snapshot.Kind, namespace, name string, _ ListRequest) error {
		if slices.Contains(RightsOfObjects(), k) {
			return forbidden(k, name)
		}
		return nil
	}
	s := mustLoad(t, m, Query{Objects: true})
	if s.Pod("shop", "cart-1") == nil {
		t.Error("the stuck pod is gone")
	}
	for _, k := range RightsOfObjects() {
		if _, ok := gapWith(s, k, snapshot.ReasonForbidden); !ok {
			t.Errorf("no gap says that %s could not be read", k)
		}
	}
}

// TestLoadOfManyRunningJobsLeavesThoseThatAreOver is what a cluster with much batch work costs: every Job that runs looks short of pods in a Table.
func TestLoadOfManyRunningJobsLeavesThoseThatAreOver(t *testing.T) {
	var objects []runtime.Object
	add := func(name string, completions, succeeded, active int32) {
		j := &batchv1.Job{}
		j.Namespace, j.Name = "batch", name
		j.Spec.Parallelism, j.Spec.Completions = &completions, &completions
		j.Status.Succeeded, j.Status.Active = succeeded, active
		objects = append(objects, j)
	}
	for i := range 60 {
		add(fmt.Sprintf("over-%02d", i), 1, 1, 0)
	}
	for i := range 30 {
		add(fmt.Sprintf("runs-%02d", i), 1, 0, 1)
	}
	add("lacks", 2, 0, 1)
	add("half-done", 4, 2, 0)
	m := newMemory(objects...)
	s := mustLoad(t, m, Query{Objects: true})
	want := []string{"list Job in  where metadata.name=half-done", "list Job in  where status.successful=0"}
	if got := m.requests("list Job"); !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
	if s.Job("batch", "lacks") == nil || s.Job("batch", "half-done") == nil || len(s.Objects(snapshot.Job)) != 2 {
		t.Errorf("%d Jobs were kept, want the two that lack pods", len(s.Objects(snapshot.Job)))
	}
}
