package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Reach is what a failure spans, in the words of the plugin's report.
type Reach string

// The reaches.
const (
	ReachPod       Reach = "pod"
	ReachNode      Reach = "node"
	ReachShared    Reach = "shared"
	ReachCluster   Reach = "cluster"
	ReachUndecided Reach = "undecided"
)

// State is how a pod of a Want stands, by its objects and not by the STATUS
// word of kubectl: a pod in its cleanup stage is Terminating.
type State string

// The states.
const (
	Terminating State = "Terminating"
	Starting    State = "Starting" // on a node, containers not started
	Pending     State = "Pending"  // without a node
	Running     State = "Running"
)

// Want is what is right to say of some of a scenario's pods.
type Want struct {
	// Namespace and Prefix name the pods: those whose name begins with it.
	Namespace, Prefix string
	// State narrows them to the pods that are in it.
	State State
	// AtLeast is how many pods there are, when settled.
	AtLeast int
	// Node, if set, is the node that they are on.
	Node string

	// NotStuck pods must not be reported as stuck; there is no more to say.
	NotStuck bool
	// Reach are the acceptable reaches.
	Reach []Reach
	// Causes are the slugs of the acceptable causes: where the API alone cannot
	// tell two causes apart, both are here.
	Causes []string
}

// NodeSpec is a node that a scenario needs for itself.
type NodeSpec struct {
	Name string
	Zone string
}

// Scenario is one failure.
type Scenario struct {
	Name string
	// Doc says in a sentence what happened.
	Doc string
	// Nodes are the scenario's own; others' pods are kept off them.
	Nodes []NodeSpec
	// Setup makes the workloads and then the failure. It is given up to
	// setupTimeout.
	Setup func(ctx context.Context, c *bed.Cluster) error
	// Check returns nil when the API shows the failure, else what is missing.
	Check func(ctx context.Context, c *bed.Cluster) error
	// Within is how long the failure takes to show; settleTimeout when zero.
	Within time.Duration
	Want   []Want
	// Objects is what is right to say of things that are no pods.
	Objects []WantObject
	// Try are commands that change something, for somebody who tries the plugin.
	Try []string
}

const (
	setupTimeout  = 3 * time.Minute
	settleTimeout = 2 * time.Minute
)

// Settled waits until the API shows the failure.
func (s Scenario) Settled(ctx context.Context, c *bed.Cluster) error {
	within := s.Within
	if within == 0 {
		within = settleTimeout
	}
	err := bed.Poll(ctx, within, func(ctx context.Context) error {
		if err := s.Check(ctx, c); err != nil {
			return err
		}
		for _, want := range s.Want {
			if err := want.present(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("scenario %s has not settled: %w", s.Name, err)
	}
	return nil
}

// present checks that the pods that a Want speaks of are there.
func (w Want) present(ctx context.Context, c *bed.Cluster) error {
	_, err := pods(ctx, c, w.Namespace, w.Prefix, w.AtLeast, inState(w.State), onNode(w.Node))
	return err
}

// HealthyNodes are there in every fleet, one per zone, without faults of their
// own.
func HealthyNodes() []NodeSpec {
	return []NodeSpec{
		{Name: "worker-a1", Zone: "eu-central-1a"},
		{Name: "worker-b1", Zone: "eu-central-1b"},
		{Name: "worker-c1", Zone: "eu-central-1c"},
	}
}

// All returns every scenario, those that take longest first.
func All() []Scenario {
	return []Scenario{
		RuntimeHung(),
		ContainerIgnoresKill(),
		NodeLost(),
		MultiAttach(),
		NodeOutOfProcesses(),
		SandboxCreationFails(),
		NetworkPluginLost(),
		DeadNFSServer(),
		ForeignFinalizer(),
		FinalizerOwners(),
		OrphanedJobPod(),
		WebhookBackendGone(),
		PolicyFreezesStatus(),
		QuotaBlocksCreate(),
		WebhookBlocksCreate(),
		NamespaceHeldByPod(),
		LongGracePeriod(),
		ConfigMissing(),
		ImageNotFound(),
		RegistryUnreachable(),
		Unschedulable(),
		ClaimUnbound(),
		CrashLoop(),
		Healthy(),
	}
}

// Demo returns the story that is told first: a node out of processes, one pod
// elsewhere held by a finalizer, and the rest of the shop healthy.
func Demo() []Scenario {
	return []Scenario{NodeOutOfProcesses(), ForeignFinalizer(), Healthy()}
}

// ByName picks scenarios, in the given order.
func ByName(names ...string) ([]Scenario, error) {
	all := append(All(), Fixes()...)
	var picked []Scenario
	for _, name := range names {
		i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// Fleet is a number of scenarios on one cluster.
type Fleet struct {
	Scenarios []Scenario
}

// NewFleet checks that the scenarios do not get in each other's way.
func NewFleet(scenarios ...Scenario) (*Fleet, error) {
	owner := map[string]string{}
	for _, s := range HealthyNodes() {
		owner["node "+s.Name] = "the healthy nodes"
	}
	for _, s := range scenarios {
		claims := []string{"scenario " + s.Name}
		for _, n := range s.Nodes {
			claims = append(claims, "node "+n.Name)
		}
		for _, namespace := range namespacesOf(s) {
			claims = append(claims, "namespace "+namespace)
		}
		for _, claim := range claims {
			if other, taken := owner[claim]; taken {
				return nil, fmt.Errorf("scenario %s: %s belongs to %s", s.Name, claim, other)
			}
			owner[claim] = s.Name
		}
	}
	return &Fleet{Scenarios: scenarios}, nil
}

func namespacesOf(s Scenario) []string {
	var namespaces []string
	for _, w := range s.Want {
		if !slices.Contains(namespaces, w.Namespace) {
			namespaces = append(namespaces, w.Namespace)
		}
	}
	for _, o := range s.Objects {
		if o.Namespace != "" && !slices.Contains(namespaces, o.Namespace) {
			namespaces = append(namespaces, o.Namespace)
		}
	}
	return namespaces
}

// Setup starts the nodes and sets all scenarios up.
func (f *Fleet) Setup(ctx context.Context, c *bed.Cluster) error {
	if err := f.startNodes(ctx, c); err != nil {
		return err
	}
	return f.each(func(s Scenario) error {
		ctx, cancel := context.WithTimeout(ctx, setupTimeout)
		defer cancel()
		if err := s.Setup(ctx, c); err != nil {
			return fmt.Errorf("set up scenario %s: %w", s.Name, err)
		}
		return nil
	})
}

// Settled waits for all scenarios at once.
func (f *Fleet) Settled(ctx context.Context, c *bed.Cluster) error {
	return f.each(func(s Scenario) error { return s.Settled(ctx, c) })
}

// startNodes starts three at a time: each start is work for the machine, and
// more at once are not sooner Ready.
func (f *Fleet) startNodes(ctx context.Context, c *bed.Cluster) error {
	slots := make(chan struct{}, 3)
	start := func(spec NodeSpec, opts bed.NodeOptions) func() error {
		return func() error {
			slots <- struct{}{}
			defer func() { <-slots }()
			if c.Node(spec.Name) != nil {
				return nil
			}
			opts.Zone = spec.Zone
			_, err := c.StartNode(ctx, spec.Name, opts)
			return err
		}
	}
	var starts []func() error
	for _, spec := range HealthyNodes() {
		starts = append(starts, start(spec, bed.NodeOptions{}))
	}
	for _, s := range f.Scenarios {
		for _, spec := range s.Nodes {
			starts = append(starts, start(spec, ownNodeOptions(spec.Name)))
		}
	}
	return together(starts...)
}

func (f *Fleet) each(do func(Scenario) error) error {
	var all []func() error
	for _, s := range f.Scenarios {
		all = append(all, func() error { return do(s) })
	}
	return together(all...)
}

func together(all ...func() error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, do := range all {
		wg.Go(func() { errs[i] = do() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
