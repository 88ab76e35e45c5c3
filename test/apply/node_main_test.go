package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// machine makes a Node object, of which no kubelet and no controller knows.
func machine(t *testing.T, change func(*corev1.Node)) *corev1.Node {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "machine-"}}
	if change != nil {
		change(n)
	}
	n, err := cluster.Client().CoreV1().Nodes().Create(t.Context(), n, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cluster.Client().CoreV1().Nodes().Delete(context.Background(), n.Name, metav1.DeleteOptions{})
	})
	return n
}

// nodeNow is the Node as it is; nil where there is none.
func nodeNow(t *testing.T, name string) *corev1.Node {
	t.Helper()
	n, err := cluster.Client().CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// taint adds a taint, as the node controller does beside this tool.
func taint(t *testing.T, name, key string) {
	t.Helper()
	n := nodeNow(t, name)
	n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	if _, err := cluster.Client().CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// beat updates the time of a heartbeat in the status, as a kubelet does.
func beat(t *testing.T, name string, at metav1.Time) {
	t.Helper()
	n := nodeNow(t, name)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: at}}
	if _, err := cluster.Client().CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func nodeRef(n *corev1.Node) snapshot.Ref {
	return snapshot.Ref{Kind: snapshot.Node, Name: n.Name, UID: n.UID}
}

func changes(n *corev1.Node, c remedy.NodeChange) remedy.Step {
	return remedy.Step{Verb: remedy.Patch, Ref: nodeRef(n), ResourceVersion: n.ResourceVersion, Change: &c, What: "change node " + n.Name}
}

func cordon(n *corev1.Node) remedy.Step {
	yes := true
	return changes(n, remedy.NodeChange{Unschedulable: &yes})
}

func deletes(n *corev1.Node) remedy.Step {
	return remedy.Step{Verb: remedy.Delete, Ref: nodeRef(n), ResourceVersion: n.ResourceVersion, What: "delete node " + n.Name}
}

func evict(p *corev1.Pod) remedy.Step {
	return remedy.Step{Verb: remedy.Evict, Ref: refOf(p), ResourceVersion: p.ResourceVersion, What: "evict " + p.Name}
}

// running makes a pod that runs and is Ready: only those have the protection of a budget.
func running(t *testing.T, ns, name, app string) *corev1.Pod {
	t.Helper()
	p := pod(t, ns, name)
	p.Labels = map[string]string{"app": app}
	p, err := cluster.Client().CoreV1().Pods(ns).Update(t.Context(), p, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return setRunning(t, p)
}

func setRunning(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p, err := cluster.Client().CoreV1().Pods(p.Namespace).UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// guard makes a disruption budget that allows so many; no controller is there to count.
func guard(t *testing.T, ns, name, app string, allowed int32) {
	t.Helper()
	one := intstr.FromInt32(1)
	b, err := cluster.Client().PolicyV1().PodDisruptionBudgets(ns).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	allow(t, ns, b.Name, allowed)
}

func allow(t *testing.T, ns, name string, allowed int32) {
	t.Helper()
	patch := fmt.Sprintf(`{"status":{"disruptionsAllowed":%d,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1,"observedGeneration":1}}`, allowed)
	if _, err := cluster.Client().PolicyV1().PodDisruptionBudgets(ns).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

func allowed(t *testing.T, ns, name string) int32 {
	t.Helper()
	b, err := cluster.Client().PolicyV1().PodDisruptionBudgets(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Status.DisruptionsAllowed
}

// nodeHooks judges a node again without a picture.
func nodeHooks(t *testing.T, called *int) apply.Hooks {
	return apply.Hooks{
		Say: func(s string) { t.Log(s) },
		Again: func(_ context.Context, act remedy.Act) (remedy.Act, error) {
			*called++
			n := nodeNow(t, act.Target.Name)
			if n == nil {
				return act, remedy.ErrNothingLeft
			}
			act.Steps = append([]remedy.Step(nil), act.Steps...)
			for i := range act.Steps {
				s, err := remedy.Rebase(act.Steps[i], n)
				if err != nil {
					return act, err
				}
				act.Steps[i] = s
			}
			return act, nil
		},
	}
}

// probe is a pod that is created and deleted again in one act.
func probe(t *testing.T, ns, name string) remedy.Act {
	t.Helper()
	raw, err := json.Marshal(&corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "registry.example/pause:1"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, zero := snapshot.Ref{Kind: snapshot.Pod, Namespace: ns, Name: name}, int64(0)
	return remedy.Act{Target: ref, Risk: diagnose.RiskLow, Steps: steps(
		remedy.Step{Verb: remedy.Create, Ref: ref, Manifest: raw, What: "create " + name},
		remedy.Step{Verb: remedy.Delete, Ref: ref, OfBefore: true, Grace: &zero, What: "delete " + name},
	)}
}
