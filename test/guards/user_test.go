package guards

import (
	"context"
	"strings"
	"testing"
)

// userScenes are about who may do what.
func userScenes() []scene {
	return []scene{{
		name: "rights are asked for before anything is done",
		setup: func(ctx context.Context, w *world) error {
			return w.pod(ctx, "readers", "memo", spec("memo", on(near), grace(2)), "guards.example.com/hold")
		},
		test: testRights,
	}}
}

func testRights(t *testing.T, w *world) {
	const namespace, name, finalizer = "readers", "memo", "guards.example.com/hold"
	viewer, err := w.NamespaceKubeconfig(t.Context(), "viewer", namespace, "view")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.delete(t.Context(), namespace, name); err != nil {
		t.Fatal(err)
	}
	w.until(t, namespace, name, heldOnly)
	patch := []string{"pod", name, "-n", namespace, "--finalizers=" + finalizer, "--yes=" + name, "--wait", "0"}
	force := []string{"pod", name, "-n", namespace, "--force", "--yes=" + name, "--wait", "0"}
	for what, c := range map[string]struct {
		config string
		args   []string
		verb   string
	}{
		"a viewer's patch":            {viewer, patch, "patch"},
		"a viewer's deletion":         {viewer, force, "delete"},
		"an admin's patch as another": {w.Kubeconfig(), append(patch, "--as", "viewer"), "patch"},
	} {
		before := w.stands(t, namespace, name)
		a := w.fixAs(t, c.config, c.args...)
		if a.Code != refused && a.Code != 1 {
			t.Errorf("%s: exit code %d", what, a.Code)
		}
		if len(a.doc.Missing) != 1 || a.doc.Missing[0].Verb != c.verb || a.doc.Missing[0].Resource != "pods" || a.doc.Missing[0].Namespace != namespace || a.doc.Missing[0].Role == "" {
			t.Errorf("%s: missing rights: %s", what, asJSON(a.doc.Missing))
			continue
		}
		for _, word := range []string{c.verb, "pods", a.doc.Missing[0].Role} {
			if !strings.Contains(a.ErrOut, word) {
				t.Errorf("%s: %q is not named: %s", what, word, a.ErrOut)
			}
		}
		if len(a.doc.DryRun) != 0 {
			t.Errorf("%s: it was tried all the same: %s", what, asJSON(a.doc.DryRun))
		}
		if after := w.stands(t, namespace, name); after != before {
			t.Errorf("%s: before %+v, after %+v", what, before, after)
		}
	}
}
