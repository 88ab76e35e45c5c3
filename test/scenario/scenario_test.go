package scenario_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// TestScenarios sets all of them up in one cluster and waits until the API
// shows each; then it repairs what can be repaired and expects the cluster to
// recover, or the faults would not be the reason for what was seen.
func TestScenarios(t *testing.T) {
	fleet, err := scenario.NewFleet(append(scenario.All(), scenario.Fixes()...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	c, err := bed.Start(ctx, bed.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := fleet.Setup(ctx, c); err != nil {
		t.Fatal(err)
	}
	t.Run("settle", func(t *testing.T) {
		for _, s := range fleet.Scenarios {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				if err := s.Settled(ctx, c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Run("healthy nodes stay Ready", func(t *testing.T) {
		for _, n := range scenario.HealthyNodes() {
			if err := nodeIsReady(ctx, c, n.Name); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("repaired nodes recover", func(t *testing.T) { recoverNodes(ctx, t, c, fleet) })
}

func recoverNodes(ctx context.Context, t *testing.T, c *bed.Cluster, fleet *scenario.Fleet) {
	for _, s := range fleet.Scenarios {
		for _, spec := range s.Nodes {
			n := c.Node(spec.Name)
			if err := n.Thaw(); err != nil {
				t.Fatal(err)
			}
			if err := n.Faults().Clear(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := bed.Poll(ctx, 3*time.Minute, func(ctx context.Context) error {
		for _, s := range fleet.Scenarios {
			for _, spec := range s.Nodes {
				if err := nodeIsReady(ctx, c, spec.Name); err != nil {
					return err
				}
				if err := nothingStuckOn(ctx, c, spec.Name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func nothingStuckOn(ctx context.Context, c *bed.Cluster, node string) error {
	pods, err := c.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			return fmt.Errorf("pod %s/%s on repaired node %s is still Terminating", pod.Namespace, pod.Name, node)
		}
		if pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("pod %s/%s on repaired node %s is %s", pod.Namespace, pod.Name, node, pod.Status.Phase)
		}
	}
	return nil
}

func nodeIsReady(ctx context.Context, c *bed.Cluster, name string) error {
	node, err := c.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not Ready", name)
}

func TestEveryScenarioIsComplete(t *testing.T) {
	all := append(scenario.All(), scenario.Fixes()...)
	if len(all) == 0 {
		t.Fatal("there are no scenarios")
	}
	reaches := map[scenario.Reach]bool{
		scenario.ReachPod: true, scenario.ReachNode: true, scenario.ReachShared: true,
		scenario.ReachCluster: true, scenario.ReachUndecided: true,
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			if s.Doc == "" || !strings.HasSuffix(s.Doc, ".") {
				t.Errorf("Doc %q is not a sentence", s.Doc)
			}
			if s.Setup == nil || s.Check == nil || len(s.Want)+len(s.Objects) == 0 {
				t.Error("Setup, Check or Want is missing")
			}
			for _, w := range s.Want {
				if w.Namespace == "" || w.Prefix == "" || w.AtLeast < 1 {
					t.Errorf("%+v names no pods", w)
				}
				if !w.NotStuck && (len(w.Reach) == 0 || len(w.Causes) == 0) {
					t.Errorf("%+v does not say what is right", w)
				}
				for _, r := range w.Reach {
					if !reaches[r] {
						t.Errorf("%+v: there is no reach %q", w, r)
					}
				}
			}
			if found, err := scenario.ByName(s.Name); err != nil || found[0].Doc != s.Doc {
				t.Errorf("ByName finds %+v, %v", found, err)
			}
		})
	}
}

func TestScenariosThatShareANamespaceAreRefused(t *testing.T) {
	if _, err := scenario.NewFleet(scenario.Healthy(), scenario.Healthy()); err == nil {
		t.Error("the same scenario twice was accepted")
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	if _, err := scenario.ByName("no-such-scenario"); err == nil {
		t.Error("was accepted")
	}
}
