package e2e

import (
	"slices"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// object is a stuck object of the report that is no pod.
type object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	State     string `json:"state"`
	Findings  []struct {
		Slug       string `json:"slug"`
		Confidence string `json:"confidence"`
	} `json:"findings"`
}

// checkObject compares what is said of an object with what is right.
func checkObject(t *testing.T, d document, want scenario.WantObject) {
	t.Helper()
	i := slices.IndexFunc(d.Objects, func(o object) bool {
		return o.Kind == want.Kind && o.Namespace == want.Namespace && o.Name == want.Name
	})
	switch {
	case want.NotStuck && i >= 0:
		t.Errorf("%s %s/%s is called stuck: %+v", want.Kind, want.Namespace, want.Name, d.Objects[i])
	case want.NotStuck:
	case i < 0:
		t.Errorf("%s %s/%s is not reported; objects: %+v", want.Kind, want.Namespace, want.Name, d.Objects)
	case len(d.Objects[i].Findings) == 0:
		t.Errorf("%s %s/%s is unexplained, want %q", want.Kind, want.Namespace, want.Name, want.Causes)
	case !slices.Contains(want.Causes, d.Objects[i].Findings[0].Slug):
		t.Errorf("%s %s/%s is explained by %v, want %q", want.Kind, want.Namespace, want.Name, d.Objects[i].Findings, want.Causes)
	}
}
