package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

const (
	drained      = "worker-b4"
	drainedSpace = "search"
	// byHandTimeout is how long kubectl drain waits for pods that do not go; without it, it waits for ever.
	byHandTimeout = time.Minute
	// drainPatience is how long a drain may take.
	drainPatience = 8 * time.Minute
)

// drainWay is one way to get a node's workloads to run elsewhere.
type drainWay struct {
	name  string
	steps [][]string // one after the other, whatever comes of them
	again bool       // a step that fails is repeated once, as its own answer says
}

// drainTimes are what one drain took, from its first command on.
type drainTimes struct{ deployments, all, ended time.Duration }

// drains measures how long it takes from the first command to the last workload of a node with a hung runtime that is Ready elsewhere: by this tool, and by
// hand. Both have to wait for the same: for kubelets, controllers and PodGC.
func (b *bench) drains(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "bench-drain-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := bed.Start(ctx, bed.Options{Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	bin, err := c.LinkKubectl()
	if err != nil {
		return err
	}
	w := &world.World{Cluster: c}
	if err := setUpDrain(ctx, w); err != nil {
		return err
	}
	kubectl := filepath.Join(bin, "kubectl")
	ways := []drainWay{
		{"kubectl stuck node --drain-and-delete", [][]string{{
			b.binary, "node", drained, "--drain-and-delete", "--yes=" + drained, "--attest", "I know that its containers do not write any more", "--journal", filepath.Join(dir, "journal"),
		}}, true},
		{"kubectl drain --timeout " + byHandTimeout.String() + "; kubectl delete node", [][]string{
			{kubectl, "drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout", byHandTimeout.String()},
			{kubectl, "delete", "node", drained, "--wait=false"},
		}, false},
	}
	fmt.Fprintf(b.out, "\n## a node with a hung runtime, two Deployments and a StatefulSet: until all of them are Ready elsewhere\n\n")
	table := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(table, "way\trun\tDeployments Ready\tall Ready\tcommands ended\t")
	for run := range b.drainRuns {
		for _, way := range ways {
			if err := hangAgain(ctx, w); err != nil {
				return err
			}
			took, err := way.drain(ctx, w, dir, b)
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t\n", way.name, run+1, seconds(took.deployments), seconds(took.all), seconds(took.ended))
		}
	}
	return table.Flush()
}

func seconds(d time.Duration) time.Duration { return d.Round(time.Second / 10) }

func setUpDrain(ctx context.Context, w *world.World) error {
	for _, name := range []string{"worker-a1", "worker-b1", "worker-c1"} {
		if _, err := w.StartNode(ctx, name, bed.NodeOptions{}); err != nil {
			return err
		}
	}
	if _, err := w.StartNode(ctx, drained, world.Own(drained, bed.NodeOptions{RuntimeRequestTimeout: 20 * time.Second})); err != nil {
		return err
	}
	spec := func(name string) corev1.PodSpec {
		return world.Spec(name, world.Grace(5), world.Tolerate(drained), world.Prefer(drained))
	}
	return errors.Join(
		w.Deploy(ctx, drainedSpace, "query", drained, 2, spec("query")), w.Deploy(ctx, drainedSpace, "indexer", drained, 1, spec("indexer")),
		w.Set(ctx, drainedSpace, "store", drained, spec("store")))
}

// replicas are those of the workloads.
func replicas() map[string]int { return map[string]int{"query": 2, "indexer": 1, "store": 1} }

// hangAgain starts the machine anew, gets all pods onto it, and lets its runtime hang until the API shows it.
func hangAgain(ctx context.Context, w *world.World) error {
	node := w.Node(drained)
	if err := node.Restart(ctx); err != nil {
		return err
	}
	if err := w.Merge(ctx, drained, `{"spec":{"unschedulable":null}}`); err != nil {
		return err
	}
	// Whoever is elsewhere is deleted, until the scheduler knows that the node takes pods again.
	err := bed.Poll(ctx, 2*world.Soon, func(ctx context.Context) error {
		err := w.Client().CoreV1().Pods(drainedSpace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "spec.nodeName!=" + drained + ",spec.nodeName!="})
		if err != nil {
			return fmt.Errorf("delete the pods: %w", err)
		}
		for name, n := range replicas() {
			pods, err := w.Pods(ctx, drainedSpace, name)
			if err != nil || len(pods) != n {
				return errors.Join(err, fmt.Errorf("%d pods of %s", len(pods), name))
			}
			for _, p := range pods {
				if err := world.On(drained)(&p); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := node.Faults().Add(ctx, fault.Rule{ID: "runtime-hung", Call: fault.Every, Action: fault.Hang}); err != nil {
		return fmt.Errorf("let the runtime hang: %w", err)
	}
	return w.UntilNode(ctx, 3*time.Minute, drained, world.Ready(corev1.ConditionFalse))
}

// drain goes the way and looks when it has arrived.
func (way drainWay) drain(ctx context.Context, w *world.World, home string, b *bench) (took drainTimes, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	began := time.Now()
	ended := make(chan time.Duration, 1)
	go func() {
		do := func(args []string) error {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the commands that are measured
			cmd.Env = append(os.Environ(), "KUBECONFIG="+w.Kubeconfig(), "HOME="+home, "NO_COLOR=1")
			out, err := cmd.CombinedOutput()
			fmt.Fprintf(b.log, "%s\n%s%v\n", args, out, err)
			return err
		}
		for _, args := range way.steps {
			if err := do(args); err != nil && way.again {
				_ = do(args) // whatever comes of it, the workloads tell
			}
		}
		ended <- time.Since(began)
	}()
	arrived := func(names ...string) (time.Duration, error) {
		for _, name := range names {
			if err := bed.Poll(ctx, drainPatience, func(ctx context.Context) error {
				n := 0
				pods, err := w.Pods(ctx, drainedSpace, name)
				for _, p := range pods {
					if world.Off(drained)(&p) == nil {
						n++
					}
				}
				if n < replicas()[name] {
					return errors.Join(err, fmt.Errorf("%d pods of %s are Ready elsewhere", n, name))
				}
				return nil
			}); err != nil {
				return 0, err
			}
		}
		return time.Since(began), nil
	}
	if took.deployments, err = arrived("query", "indexer"); err != nil {
		return took, err
	}
	if took.all, err = arrived("store"); err != nil {
		return took, err
	}
	took.ended = <-ended
	if _, err := w.Client().CoreV1().Nodes().Get(ctx, drained, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return took, fmt.Errorf("the Node is there: %w", err)
	}
	return took, nil
}
