package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// TestTheOwnersOfFinalizersAreFound looks at the cluster, and at a dump of it, for who holds two pods.
func TestTheOwnersOfFinalizersAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dump")
	if a := shared.stuck(t, "dump", path); a.code != 0 {
		t.Fatalf("dump: exit code %d\n%s", a.code, a.errOut)
	}
	for from, args := range map[string][]string{"the cluster": everything, "a dump": {"pods", "-A", "--older-than", "5s", "--from", path}} {
		t.Run(from, func(t *testing.T) {
			a := shared.stuck(t, append(args, "-o", "json")...)
			if a.code != 0 {
				t.Fatalf("exit code %d\n%s", a.code, a.errOut)
			}
			var d struct {
				Groups []struct {
					Pods []struct {
						Namespace       string `json:"namespace"`
						Name            string `json:"name"`
						FinalizerOwners []struct {
							Finalizer  string `json:"finalizer"`
							Owner      string `json:"owner"`
							Controller *struct {
								Name string `json:"name"`
							} `json:"controller"`
							Alive      string `json:"alive"`
							Confidence string `json:"confidence"`
							Why        string `json:"why"`
						} `json:"finalizerOwners"`
					} `json:"pods"`
				} `json:"groups"`
			}
			if err := json.Unmarshal([]byte(a.out), &d); err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, g := range d.Groups {
				for _, p := range g.Pods {
					if p.Namespace != scenario.OwnersNamespace {
						continue
					}
					found++
					if len(p.FinalizerOwners) != 1 || p.FinalizerOwners[0].Controller == nil {
						t.Errorf("%s: owners %+v", p.Name, p.FinalizerOwners)
						continue
					}
					o := p.FinalizerOwners[0]
					switch p.Name {
					case scenario.OwnerGonePod:
						if o.Finalizer != scenario.OwnerGone || o.Owner != "Kueue" || o.Alive != "gone" || o.Confidence != "certain" {
							t.Errorf("%s: %+v", p.Name, o)
						}
					case scenario.OwnerAlivePod:
						if o.Finalizer != scenario.OwnerAlive || o.Controller.Name != "workflow-controller" || o.Alive != "alive" && o.Alive != "slow" {
							t.Errorf("%s: %+v", p.Name, o)
						}
					}
				}
			}
			if found != 2 {
				t.Errorf("%d pods are held, want 2", found)
			}
		})
	}
}
