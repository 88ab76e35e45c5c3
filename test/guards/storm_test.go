package guards

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// testStorm freezes nodes until most do not answer: as when the control plane's network is gone, and every node is well.
func testStorm(t *testing.T, w *world) {
	const namespace, name = "storm", "sailor"
	frozen := []string{"worker-a1", "worker-c1"}
	if err := w.deployment(t.Context(), namespace, name, "", 1, spec(name, grace(2), func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{corev1.LabelHostname: frozen[0]} })); err != nil {
		t.Fatal(err)
	}
	pods, err := w.podsOf(t.Context(), namespace, name)
	if err != nil || len(pods) != 1 {
		t.Fatalf("%v, %d pods", err, len(pods))
	}
	for _, node := range frozen {
		if err := w.Node(node).Freeze(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Node(node).Thaw(); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, soon, func(ctx context.Context) error {
		for _, node := range frozen {
			n, err := w.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get node %s: %w", node, err)
			}
			for _, c := range n.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status != corev1.ConditionUnknown {
					return fmt.Errorf("node %s is Ready=%s", node, c.Status)
				}
			}
		}
		return nil
	})
	pod := pods[0].Name
	if err := w.delete(t.Context(), namespace, pod); err != nil {
		t.Fatal(err)
	}
	first := w.until(t, namespace, pod, overdue)
	args := []string{"pod", pod, "-n", namespace, "--force", "--yes=" + pod, "--wait", "0"}
	before := w.get(t, namespace, pod).ResourceVersion
	a := w.fix(t, args...)
	a.mustRefuse(t, "storm")
	if after := w.get(t, namespace, pod).ResourceVersion; after != before || len(w.writes(t, namespace)) != 0 {
		t.Errorf("the pod has changed: %s and %s", before, after)
	}
	a = w.fix(t, append(args, "--even-in-storm")...)
	a.must(t, 0, remedy.Done)
	// The damage is a machine that was well all the time, and whose container nobody knows of: with a cluster full of them, each is such a case.
	if !w.gone(t, namespace, pod, first.UID) {
		t.Error("the pod is there")
	}
	replaced, err := w.podsOf(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range replaced {
		if p.UID != first.UID && p.Status.Phase == corev1.PodRunning {
			t.Errorf("pod %s runs on %s: that helped", p.Name, p.Spec.NodeName)
		}
	}
}
