package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/node"
)

// Defaults of NodeOptions.
const (
	DefaultKernelVersion         = "6.8.0-71-generic"
	DefaultOSImage               = "Ubuntu 24.04.3 LTS"
	DefaultCPUs                  = 8
	DefaultMemoryBytes           = 32 << 30
	DefaultMaxPods               = 110
	DefaultRegion                = "eu-central"
	DefaultRuntimeRequestTimeout = 2 * time.Minute

	nodeTimeout = 2 * time.Minute
)

// NodeOptions says what machine a node is. The zero value is a usual one.
type NodeOptions struct {
	// Labels are added to those that every kubelet sets.
	Labels map[string]string
	// Zone is the node's topology.kubernetes.io/zone.
	Zone string
	// Taints are there from the first moment.
	Taints []corev1.Taint
	// RuntimeVersion is the containerd version that it reports.
	RuntimeVersion string
	KernelVersion  string
	OSImage        string
	CPUs           int
	MemoryBytes    uint64
	MaxPods        int32
	// Line puts a line between the node and the API server, that Cut and Mend act on.
	Line bool
	// StaticPods lets the node have static pods: see Node.RunStatic.
	StaticPods bool
	// Logs says how the kubelet serves /logs/: see node.Config.
	Logs string
	// RuntimeRequestTimeout is the kubelet's setting of that name: a call that
	// hangs is given up after it, and after the grace period on top for a stop.
	RuntimeRequestTimeout time.Duration
}

func (o NodeOptions) withDefaults() NodeOptions {
	o.KernelVersion = orDefault(o.KernelVersion, DefaultKernelVersion)
	o.OSImage = orDefault(o.OSImage, DefaultOSImage)
	o.CPUs = orDefault(o.CPUs, DefaultCPUs)
	o.MemoryBytes = orDefault(o.MemoryBytes, DefaultMemoryBytes)
	o.MaxPods = orDefault(o.MaxPods, DefaultMaxPods)
	o.RuntimeRequestTimeout = orDefault(o.RuntimeRequestTimeout, DefaultRuntimeRequestTimeout)
	return o
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Node is one kubelet with its runtime, a process of its own.
type Node struct {
	Name string

	cluster *Cluster
	dir     string
	address string
	faults  *fault.Client
	line    *line // to the API server; nil where it is direct

	mu      sync.Mutex
	process *process // nil when stopped
	stopped bool     // for ever
}

// StartNode starts a node and returns when it is Ready. Several may be started
// at once.
func (c *Cluster) StartNode(ctx context.Context, name string, opts NodeOptions) (*Node, error) {
	n, number, err := c.addNode(name)
	if err != nil {
		return nil, err
	}
	if err := n.writeConfig(opts.withDefaults(), number); err != nil {
		return nil, err
	}
	return n, n.start(ctx)
}

func (c *Cluster) addNode(name string) (*Node, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.nodes[name]; ok {
		return nil, 0, fmt.Errorf("start node %s: it has been started already", name)
	}
	number := len(c.nodes) + 1
	n := &Node{
		Name:    name,
		cluster: c,
		dir:     filepath.Join(c.dir, fmt.Sprintf("node%d", number)), // short, for the sockets in it
		address: fmt.Sprintf("10.20.%d.%d", number/250, number%250+10),
	}
	n.faults = fault.NewClient(node.FaultSocket(n.dir))
	c.nodes[name] = n
	return n, number, nil
}

func (n *Node) writeConfig(opts NodeOptions, number int) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of node %s: %w", n.Name, err)
	}
	labels := map[string]string{}
	if opts.Zone != "" {
		labels[corev1.LabelTopologyZone] = opts.Zone
		labels[corev1.LabelTopologyRegion] = DefaultRegion
	}
	maps.Copy(labels, opts.Labels)
	kubeconfig := filepath.Join(n.dir, "kubeconfig")
	who := credentials{user: "system:node:" + n.Name, groups: []string{"system:nodes"}}
	server := n.cluster.server
	if opts.Line {
		var err error
		if n.line, err = n.cluster.drawLine(); err != nil {
			return fmt.Errorf("draw a line to node %s: %w", n.Name, err)
		}
		server = n.line.server()
	}
	if err := n.cluster.ca.writeKubeconfig(kubeconfig, server, who); err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	config := node.Config{
		Name:                  n.Name,
		Dir:                   n.dir,
		Kubeconfig:            kubeconfig,
		PodCIDR:               fmt.Sprintf("10.244.%d.0/24", number),
		Labels:                labels,
		Taints:                opts.Taints,
		RuntimeVersion:        opts.RuntimeVersion,
		KernelVersion:         opts.KernelVersion,
		OSImage:               opts.OSImage,
		CPUs:                  opts.CPUs,
		MemoryBytes:           opts.MemoryBytes,
		MaxPods:               opts.MaxPods,
		StaticPods:            opts.StaticPods,
		Logs:                  opts.Logs,
		KubeletPort:           ports[0],
		RuntimeRequestTimeout: opts.RuntimeRequestTimeout,
	}
	if err := os.MkdirAll(config.LogDir(), 0o750); err != nil {
		return fmt.Errorf("make the log directory of node %s: %w", n.Name, err)
	}
	if opts.StaticPods {
		if err := os.MkdirAll(node.StaticPods(n.dir), 0o750); err != nil {
			return fmt.Errorf("make the folder for static pods of node %s: %w", n.Name, err)
		}
	}
	// What the process prints is the kubelet's log.
	if err := os.Symlink(n.LogPath(), filepath.Join(config.LogDir(), "kubelet.log")); err != nil {
		return fmt.Errorf("link the kubelet's log of node %s: %w", n.Name, err)
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("write the configuration of node %s: %w", n.Name, err)
	}
	if err := os.WriteFile(n.configPath(), data, 0o600); err != nil {
		return fmt.Errorf("write the configuration of node %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) configPath() string { return filepath.Join(n.dir, "node.json") }

func (n *Node) start(ctx context.Context) error {
	fmt.Fprintf(n.cluster.opts.Log, "starting node %s\n", n.Name)
	p, err := n.startProcess()
	if err != nil {
		return err
	}
	return p.waitUntil(ctx, nodeTimeout, func(ctx context.Context) error {
		if _, err := n.faults.Rules(ctx); err != nil {
			return err
		}
		found, err := n.cluster.client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := n.initialize(ctx, found); err != nil {
			return err
		}
		// A restarted node is Ready in the API until the node controller
		// notices, so what counts is that this kubelet said so.
		if !readySince(found, p.started) {
			return fmt.Errorf("node %s is not Ready", n.Name)
		}
		return nil
	})
}

func (n *Node) startProcess() (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return nil, fmt.Errorf("start node %s: the cluster has been stopped", n.Name)
	}
	if n.process != nil {
		return nil, fmt.Errorf("start node %s: it runs already", n.Name)
	}
	p, err := startProcess(n.cluster.binary, n.cluster.dir, "node-"+n.Name, nodeAttributes(), "kubelet", n.configPath())
	if err != nil {
		return nil, err
	}
	n.process = p
	return p, nil
}

// initialize is the cloud provider's part: it gives the node its address and
// takes away the taint that says that nobody has.
func (n *Node) initialize(ctx context.Context, found *corev1.Node) error {
	nodes := n.cluster.client.CoreV1().Nodes()
	if !slices.ContainsFunc(found.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Type == corev1.NodeInternalIP }) {
		patch := fmt.Sprintf(`{"status":{"addresses":[{"type":"InternalIP","address":%q},{"type":"Hostname","address":%q}]}}`, n.address, n.Name)
		if _, err := nodes.Patch(ctx, n.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
			return fmt.Errorf("give node %s its address: %w", n.Name, err)
		}
	}
	uninitialized := func(t corev1.Taint) bool { return t.Key == cloudproviderapi.TaintExternalCloudProvider }
	if !slices.ContainsFunc(found.Spec.Taints, uninitialized) {
		return nil
	}
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		fresh, err := nodes.Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		fresh.Spec.Taints = slices.DeleteFunc(fresh.Spec.Taints, uninitialized)
		_, err = nodes.Update(ctx, fresh, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return fmt.Errorf("remove the cloud provider's taint of node %s: %w", n.Name, err)
	}
	return nil
}

func readySince(found *corev1.Node, since time.Time) bool {
	// The API keeps whole seconds.
	since = since.Truncate(time.Second)
	return slices.ContainsFunc(found.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && !c.LastHeartbeatTime.Time.Before(since)
	})
}

// Node returns a node that was started, or nil.
func (c *Cluster) Node(name string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[name]
}

// Faults changes what goes wrong on the node. A node that is frozen or stopped
// does not answer.
func (n *Node) Faults() *fault.Client { return n.faults }

// PID is the process id of the node, 0 when it is stopped.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return 0
	}
	return n.process.pid()
}

// WriteLog appends to a file of the node's /var/log: nobody writes a kernel's log here.
func (n *Node) WriteLog(name, text string) error {
	f, err := os.OpenFile(filepath.Join(node.Config{Dir: n.dir}.LogDir(), filepath.Base(name)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write a log of node %s: %w", n.Name, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a log of node %s: %w", n.Name, err)
	}
	return nil
}

// LogPath is the kubelet's log.
func (n *Node) LogPath() string { return filepath.Join(n.cluster.dir, "node-"+n.Name+".log") }

// Freeze stops the machine in its tracks: no heartbeat, no answer, but
// everything there is still there after Thaw.
func (n *Node) Freeze() error { return n.signal(syscall.SIGSTOP) }

// Thaw lets a frozen node go on.
func (n *Node) Thaw() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(sig syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return fmt.Errorf("send %s to node %s: it is stopped", sig, n.Name)
	}
	return n.process.signal(sig)
}

// Stop is a power cut: the kubelet, the runtime and all containers are gone.
// The Node object stays.
func (n *Node) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return nil
	}
	p := n.process
	n.process = nil
	return p.kill()
}

// Restart is a reboot: without faults, with no container left, and Ready when
// it returns. A node whose object was deleted registers anew.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Stop(); err != nil {
		return err
	}
	return n.start(ctx)
}

// kill ends the node for good.
func (n *Node) kill() error {
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	if err := n.Stop(); err != nil {
		return errors.Join(fmt.Errorf("end node %s", n.Name), err)
	}
	return nil
}
