package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// withoutPods is the fixture with one healthy pod, and a Deployment whose pods cannot be created.
func withoutPods(t *testing.T) string {
	t.Helper()
	path := rewrite(t, func(kind string, items []any) []any {
		switch kind {
		case "PodList":
			return []any{clone(items, "pay-1", "pay-1", "nodeName", "worker-3")}
		case "NodeList", "LeaseList":
			return items
		}
		return nil
	})
	raw, err := os.ReadFile(path) //nolint:gosec // just written
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, []byte(`{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{},"items":[{"kind":"Deployment","apiVersion":"apps/v1",
		"metadata":{"namespace":"shop","name":"basket","uid":"d-1","creationTimestamp":"2020-01-01T00:00:00Z","generation":1},
		"spec":{"replicas":3,"selector":{"matchLabels":{"app":"basket"}},"template":{"metadata":{"labels":{"app":"basket"}},"spec":{"containers":[{"name":"app","image":"x"}]}}},
		"status":{"observedGeneration":1,"conditions":[{"type":"ReplicaFailure","status":"True","reason":"FailedCreate","lastTransitionTime":"2020-01-01T00:00:00Z",
			"message":"pods \"basket-1-\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10"}]}}]}`)...)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestObjectsAloneAreStuck(t *testing.T) {
	nowhere(t)
	path := withoutPods(t)
	r := run(t, "pods", "--from", path, "--exit-code")
	if r.code != ExitStuck || strings.Contains(r.out, "Nothing") || !strings.Contains(r.out, "deploy/basket") || !strings.Contains(r.out, "ResourceQuota shop/compute is used up") {
		t.Errorf("exit code %d, %s\n%s", r.code, r.errOut, r.out)
	}
	if r := run(t, "pods", "--from", path, "--exit-code", "-n", "other"); r.code == ExitStuck {
		t.Errorf("the Deployment of another namespace counts:\n%s", r.out)
	}
	if r := run(t, "pods", "--from", path, "--older-than", "1000000h", "--exit-code"); r.code == ExitStuck {
		t.Errorf("--older-than does not hold for objects:\n%s", r.out)
	}
	if r := run(t, "pods", "--from", path, "-o", "name"); r.out != "" {
		t.Errorf("-o name gives kubectl what is no pod: %q", r.out)
	}
	if r := run(t, "pods", "--from", path, "--state", "Terminating", "--exit-code"); r.code == ExitStuck {
		t.Errorf("a state of pods was asked for:\n%s", r.out)
	}
	var d struct {
		Summary struct{ StuckObjects int }
		Objects []struct {
			Kind     string
			Findings []struct{ Slug string }
		}
	}
	if err := json.Unmarshal([]byte(run(t, "pods", "--from", path, "-o", "json").out), &d); err != nil {
		t.Fatal(err)
	}
	if d.Summary.StuckObjects != 1 || len(d.Objects) != 1 || d.Objects[0].Kind != "Deployment" || len(d.Objects[0].Findings) != 1 || d.Objects[0].Findings[0].Slug != "quota-blocks-create" {
		t.Errorf("the report: %+v", d)
	}
}
