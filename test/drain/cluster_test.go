package drain

import (
	"encoding/json"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

func getNode(t *testing.T, w *world.World, name string) *corev1.Node {
	t.Helper()
	n := findNode(t, w, name)
	if n == nil {
		t.Fatalf("there is no node %s", name)
	}
	return n
}

// findNode is nil where there is none.
func findNode(t *testing.T, w *world.World, name string) *corev1.Node {
	t.Helper()
	n, err := w.Client().CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	ok(t, err)
	return n
}

func podsIn(t *testing.T, w *world.World, namespace string) []corev1.Pod {
	t.Helper()
	list, err := w.Client().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	ok(t, err)
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return list.Items
}

func podsOn(t *testing.T, w *world.World, node string) []corev1.Pod {
	t.Helper()
	list, err := w.Client().CoreV1().Pods("").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	ok(t, err)
	return list.Items
}

// nothingLeft expects that no trace of the tool is on a node that is back: no pod, taint, cordon or annotation of ours, and no volume that nobody uses.
func nothingLeft(t *testing.T, w *world.World, name string) {
	t.Helper()
	n := getNode(t, w, name)
	if n.Spec.Unschedulable || world.Tainted(n, remedy.TaintUnproven) || world.Tainted(n, corev1.TaintNodeOutOfService) {
		t.Errorf("node %s is not as it was: unschedulable %t, taints %s", name, n.Spec.Unschedulable, asJSON(n.Spec.Taints))
	}
	noProbe(t, w)
}

// noProbe expects that no pod of the tool's own is anywhere.
func noProbe(t *testing.T, w *world.World) {
	t.Helper()
	all, err := w.Client().CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
	ok(t, err)
	for _, p := range all.Items {
		for _, f := range p.ManagedFields {
			if f.Manager == "kubectl-stuck" && f.Operation == metav1.ManagedFieldsOperationUpdate && f.Subresource == "" && f.FieldsV1 != nil && p.OwnerReferences == nil {
				t.Errorf("pod %s/%s is ours, and is there (on %s)", p.Namespace, p.Name, p.Spec.NodeName)
			}
		}
	}
}

func asJSON(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}
