package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// ContextName is the context (and cluster) name in every kubeconfig.
	ContextName = "shop-prod"

	// NodeMonitorGracePeriod is the default of Options.NodeMonitorGracePeriod.
	NodeMonitorGracePeriod = 20 * time.Second

	// etcdQuota lets a scale test keep a hundred thousand pods.
	etcdQuota = 8 << 30

	startTimeout = 90 * time.Second
	stopTimeout  = 10 * time.Second
	portAttempts = 3
)

// Options says what kind of cluster Start makes. The zero value is a whole
// control plane in a temporary directory.
type Options struct {
	// Dir holds logs, keys and sockets. Empty: a temporary one, removed by
	// Stop. A directory that was given is left as it is.
	Dir string
	// EtcdDir is etcd's data directory, kept by Stop, so that a seeded cluster
	// can be started again. Empty: inside Dir.
	EtcdDir string
	// Binary is the multi-call binary. Empty: Build is called.
	Binary string
	// NoControllerManager leaves the controller manager out, so that nothing
	// marks hand-made nodes unreachable. ServiceAccount admission is off then,
	// as nobody would make the default ServiceAccounts.
	NoControllerManager bool
	// NoScheduler leaves the scheduler out.
	NoScheduler bool
	// NodeMonitorGracePeriod is how long after a node's last heartbeat it is
	// called unreachable. Zero: the constant of that name.
	NodeMonitorGracePeriod time.Duration
	// APIServerArgs are added to the API server's command line.
	APIServerArgs []string
	// Log, if not nil, is told what is going on, a line each.
	Log io.Writer
}

// Cluster is a running control plane and the nodes added to it. Its methods may
// be called from several goroutines.
type Cluster struct {
	opts    Options
	binary  string
	dir     string
	ownsDir bool
	server  string
	etcd    string
	ca      *authority
	config  *rest.Config
	client  kubernetes.Interface
	path    string // of the admin kubeconfig
	cancel  context.CancelFunc
	workers sync.WaitGroup // goroutines that play a part in the cluster

	mu        sync.Mutex
	processes []*process // in start order
	lines     []*line
	nodes     map[string]*Node
	stopped   bool
}

// Start starts a control plane and returns when it serves. The context bounds
// the start only; Stop ends the cluster.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	if opts.NodeMonitorGracePeriod == 0 {
		opts.NodeMonitorGracePeriod = NodeMonitorGracePeriod
	}
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	if opts.Binary == "" {
		fmt.Fprintln(opts.Log, "building the testbed binary (minutes the first time, seconds later)")
		binary, err := Build(ctx)
		if err != nil {
			return nil, err
		}
		opts.Binary = binary
	}
	var err error
	for range portAttempts {
		var c *Cluster
		if c, err = startOnce(ctx, opts); err == nil {
			return c, nil
		}
		var start *StartError
		if !errors.As(err, &start) || !start.portTaken() {
			return nil, err
		}
		fmt.Fprintf(opts.Log, "%s found its port taken, trying others\n", start.Component)
	}
	return nil, err
}

func startOnce(ctx context.Context, opts Options) (_ *Cluster, err error) {
	c := &Cluster{opts: opts, binary: opts.Binary, dir: opts.Dir, nodes: map[string]*Node{}}
	if c.dir == "" {
		// A short path: unix socket names end at 108 characters.
		if c.dir, err = os.MkdirTemp("", "bed-"); err != nil {
			return nil, fmt.Errorf("make the cluster's directory: %w", err)
		}
		c.ownsDir = true
	} else if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cluster's directory: %w", err)
	}
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return nil, fmt.Errorf("find the cluster's directory: %w", err)
	}
	background, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()

	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	if err := c.writeFiles(ports[2]); err != nil {
		return nil, err
	}
	if err := c.startEgress(background); err != nil {
		return nil, err
	}
	if err := c.startControlPlane(ctx, ports); err != nil {
		return nil, err
	}
	c.workers.Go(func() { c.attachVolumes(background) })
	return c, nil
}

func (c *Cluster) writeFiles(securePort int) (err error) {
	c.server = "https://127.0.0.1:" + strconv.Itoa(securePort)
	if c.ca, err = newAuthority(); err != nil {
		return err
	}
	if err := c.ca.writeServing(c.dir); err != nil {
		return err
	}
	c.path = filepath.Join(c.dir, "admin.kubeconfig")
	admin := credentials{user: "oncall", groups: []string{"system:masters"}}
	if err := c.ca.writeKubeconfig(c.path, c.server, admin); err != nil {
		return err
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		who := credentials{user: "system:" + name}
		if err := c.ca.writeKubeconfig(filepath.Join(c.dir, name+".kubeconfig"), c.server, who); err != nil {
			return err
		}
	}
	if c.config, err = clientcmd.BuildConfigFromFlags("", c.path); err != nil {
		return fmt.Errorf("read the admin kubeconfig: %w", err)
	}
	// The bed is not what is measured; it should not wait for its own limiter.
	c.config.QPS, c.config.Burst = 500, 1000
	// What the bed makes shows in managedFields as made by a person.
	c.config.UserAgent = "kubectl"
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return fmt.Errorf("make the admin client: %w", err)
	}
	return nil
}

func (c *Cluster) startControlPlane(ctx context.Context, ports []int) error {
	etcdURL := "http://127.0.0.1:" + strconv.Itoa(ports[0])
	c.etcd = etcdURL
	peerURL := "http://127.0.0.1:" + strconv.Itoa(ports[1])
	etcdDir := c.opts.EtcdDir
	if etcdDir == "" {
		etcdDir = filepath.Join(c.dir, "etcd")
	}
	etcdDir, err := filepath.Abs(etcdDir)
	if err != nil {
		return fmt.Errorf("find etcd's data directory: %w", err)
	}
	etcdArgs := []string{
		"--name=bed",
		"--data-dir=" + etcdDir,
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=bed=" + peerURL,
		"--quota-backend-bytes=" + strconv.Itoa(etcdQuota),
		"--log-level=warn",
	}
	if c.opts.EtcdDir == "" {
		// Whoever keeps the data wants it whole after a crash; the others want
		// it fast.
		etcdArgs = append(etcdArgs, "--unsafe-no-fsync")
	} else {
		// The peer address of the last run is stored in the data.
		etcdArgs = append(etcdArgs, "--force-new-cluster")
	}
	if _, err := c.startComponent("etcd", etcdArgs...); err != nil {
		return err
	}

	file := func(name string) string { return filepath.Join(c.dir, name) }
	apiArgs := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + c.server[len("https://127.0.0.1:"):],
		"--endpoint-reconciler-type=none", // it refuses loopback addresses
		"--tls-cert-file=" + file("apiserver.crt"),
		"--tls-private-key-file=" + file("apiserver.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--service-account-key-file=" + file("sa.key"),
		"--service-account-signing-key-file=" + file("sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--egress-selector-config-file=" + c.egressConfigPath(),
		"--kubelet-preferred-address-types=InternalIP",
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1000",
		"--profiling=false",
	}
	if c.opts.NoControllerManager {
		apiArgs = append(apiArgs, "--disable-admission-plugins=ServiceAccount")
	}
	api, err := c.startComponent("kube-apiserver", append(apiArgs, c.opts.APIServerArgs...)...)
	if err != nil {
		return err
	}
	err = api.waitUntil(ctx, startTimeout, func(ctx context.Context) error {
		_, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
	if err != nil {
		return err
	}

	if !c.opts.NoControllerManager {
		manager, err := c.startComponent("kube-controller-manager",
			"--kubeconfig="+file("kube-controller-manager.kubeconfig"),
			"--secure-port=0",
			"--service-account-private-key-file="+file("sa.key"),
			"--root-ca-file="+file("ca.crt"),
			"--use-service-account-credentials=true",
			"--node-monitor-period=2s",
			"--node-monitor-grace-period="+c.opts.NodeMonitorGracePeriod.String(),
			"--kube-api-qps=200", "--kube-api-burst=400",
			"--profiling=false")
		if err != nil {
			return err
		}
		err = manager.waitUntil(ctx, startTimeout, func(ctx context.Context) error {
			_, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	if !c.opts.NoScheduler {
		scheduler, err := c.startComponent("kube-scheduler",
			"--kubeconfig="+file("kube-scheduler.kubeconfig"),
			"--secure-port=0",
			"--profiling=false")
		if err != nil {
			return err
		}
		err = scheduler.waitUntil(ctx, startTimeout, func(ctx context.Context) error {
			_, err := c.client.CoordinationV1().Leases("kube-system").Get(ctx, "kube-scheduler", metav1.GetOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startComponent(name string, args ...string) (*process, error) {
	fmt.Fprintf(c.opts.Log, "starting %s\n", name)
	p, err := startProcess(c.binary, c.dir, name, childAttributes(), append([]string{name}, args...)...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, errors.Join(fmt.Errorf("start %s: the cluster has been stopped", name), p.kill())
	}
	c.processes = append(c.processes, p)
	return p, nil
}

// Stop ends every process of the cluster and removes its temporary directory.
// It may be called more than once.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil
	}
	c.stopped = true
	processes, lines := c.processes, c.lines
	nodes := make([]*Node, 0, len(c.nodes))
	for _, n := range c.nodes {
		nodes = append(nodes, n)
	}
	c.mu.Unlock()

	var errs []error
	c.cancel()
	for _, l := range lines {
		errs = append(errs, l.end())
	}
	c.workers.Wait()
	for _, n := range nodes {
		// A node takes nothing with it that is worth an orderly end, and one
		// with a hung runtime would not come to one.
		errs = append(errs, n.kill())
	}
	for i := len(processes) - 1; i >= 0; i-- {
		errs = append(errs, processes[i].stop(stopTimeout))
	}
	if c.ownsDir {
		if err := os.RemoveAll(c.dir); err != nil {
			errs = append(errs, fmt.Errorf("remove the cluster's directory: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Dir is where the logs are, one file per component and node.
func (c *Cluster) Dir() string { return c.dir }

// Binary is the multi-call binary; under the name kubectl it is a kubectl.
func (c *Cluster) Binary() string { return c.binary }

// Kubeconfig is the path of the cluster-admin's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.path }

// Config is a copy of the cluster-admin's client configuration.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Etcd is the URL of the cluster's etcd, for objects that the API server would not take any more.
func (c *Cluster) Etcd() string { return c.etcd }

// Client is the cluster-admin's client.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// PIDs are the process ids of all children, nodes included.
func (c *Cluster) PIDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var pids []int
	for _, p := range c.processes {
		pids = append(pids, p.pid())
	}
	for _, n := range c.nodes {
		if pid := n.PID(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// LinkKubectl makes a link named kubectl to the multi-call binary in a folder
// of the cluster's directory, and returns the folder: put it on PATH.
func (c *Cluster) LinkKubectl() (string, error) {
	dir := filepath.Join(c.dir, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for kubectl: %w", err)
	}
	if err := os.Symlink(c.binary, filepath.Join(dir, "kubectl")); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("link kubectl: %w", err)
	}
	return dir, nil
}

// EnsureNamespace makes a namespace, waits for its default ServiceAccount
// (pods cannot be made before) and accepts one that is there.
func (c *Cluster) EnsureNamespace(ctx context.Context, name string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	if c.opts.NoControllerManager {
		return nil
	}
	return Poll(ctx, 30*time.Second, func(ctx context.Context) error {
		if _, err := c.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return fmt.Errorf("wait for the default ServiceAccount of namespace %s: %w", name, err)
		}
		return nil
	})
}

// UserKubeconfig writes the kubeconfig of a user in the given groups and
// returns its path. The user may do what RBAC says: nothing, unless the groups
// or a binding say more.
func (c *Cluster) UserKubeconfig(user string, groups ...string) (string, error) {
	path := filepath.Join(c.dir, user+".user.kubeconfig")
	return path, c.ca.writeKubeconfig(path, c.server, credentials{user: user, groups: groups})
}

// NamespaceKubeconfig writes the kubeconfig of a user who is bound to a
// ClusterRole (view, edit, admin, …) in one namespace only, and returns its path.
func (c *Cluster) NamespaceKubeconfig(ctx context.Context, user, namespace, clusterRole string) (string, error) {
	subject := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}
	if err := c.bind(ctx, namespace, clusterRole, user, subject); err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, user+"-"+namespace+".kubeconfig")
	who := credentials{user: user, namespace: namespace}
	return path, c.ca.writeKubeconfig(path, c.server, who)
}

// ServiceAccountKubeconfig makes a ServiceAccount, binds it to a ClusterRole in
// its namespace, and returns the path of a kubeconfig with a token of it.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name, clusterRole string) (string, error) {
	accounts := c.client.CoreV1().ServiceAccounts(namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return "", fmt.Errorf("create ServiceAccount %s/%s: %w", namespace, name, err)
	}
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
	if err := c.bind(ctx, namespace, clusterRole, name, subject); err != nil {
		return "", err
	}
	token, err := issueToken(ctx, c.client, namespace, name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, name+"-"+namespace+".sa.kubeconfig")
	return path, c.ca.writeKubeconfig(path, c.server, credentials{user: name, token: token, namespace: namespace})
}

func (c *Cluster) bind(ctx context.Context, namespace, clusterRole, name string, subject rbacv1.Subject) error {
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + clusterRole, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{subject},
	}
	if _, err := c.client.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("bind %s to %s in namespace %s: %w", name, clusterRole, namespace, err)
	}
	return nil
}
