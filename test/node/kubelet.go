package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	inuserns "github.com/moby/sys/userns"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	internalapi "k8s.io/cri-api/pkg/apis"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/kubelet"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	containertest "k8s.io/kubernetes/pkg/kubelet/container/testing"
	kubeletutil "k8s.io/kubernetes/pkg/kubelet/util"
	"k8s.io/kubernetes/pkg/util/oom"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	volumecsi "k8s.io/kubernetes/pkg/volume/csi"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/hostpath"
	"k8s.io/kubernetes/pkg/volume/local"
	"k8s.io/kubernetes/pkg/volume/nfs"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/kubernetes/pkg/volume/util/subpath"
	"k8s.io/mount-utils"

	"github.com/kubectl-stuck/kubectl-stuck/test/cri"
	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// Run runs the node until the context ends or a part of it fails.
func Run(ctx context.Context, c Config) error {
	cidr, err := netip.ParsePrefix(c.PodCIDR)
	if err != nil {
		return fmt.Errorf("node %s: pod addresses: %w", c.Name, err)
	}
	if err := os.MkdirAll(c.root(), 0o750); err != nil {
		return fmt.Errorf("node %s: make the kubelet's directory: %w", c.Name, err)
	}
	faults := &fault.Set{}
	failed := make(chan error, 4)
	listener, err := cri.Listen(c.runtimeSocket())
	if err != nil {
		return fmt.Errorf("node %s: %w", c.Name, err)
	}
	go func() { failed <- fault.Serve(ctx, FaultSocket(c.Dir), faults) }()
	if err := os.MkdirAll(c.LogDir(), 0o750); err != nil {
		return fmt.Errorf("node %s: make the log directory: %w", c.Name, err)
	}
	log, err := os.OpenFile(filepath.Join(c.LogDir(), "containerd.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("node %s: open the runtime's log: %w", c.Name, err)
	}
	defer log.Close()
	go func() {
		failed <- cri.Serve(ctx, listener, cri.Options{Version: c.RuntimeVersion, PodCIDR: cidr, Faults: faults, Images: filepath.Join(c.Dir, "images"), Log: log})
	}()
	go func() { failed <- serveKubeletAPI(ctx, c) }()
	go func() { failed <- csi.Serve(ctx, c.root(), c.Name, faults) }()

	if err := runKubelet(ctx, c, faults); err != nil {
		return fmt.Errorf("node %s: %w", c.Name, err)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		if ctx.Err() != nil {
			return nil
		}
		return errors.Join(fmt.Errorf("node %s: a part of it ended", c.Name), err)
	}
}

func runKubelet(ctx context.Context, c Config, faults *fault.Set) error {
	if inuserns.RunningInUserNS() {
		// The bed puts a node there whose user may not read the kernel's log.
		if err := utilfeature.DefaultMutableFeatureGate.Set(string(features.KubeletInUserNamespace) + "=true"); err != nil {
			return fmt.Errorf("let the kubelet run in a user namespace: %w", err)
		}
	}
	flags, config, err := kubeletConfiguration(c)
	if err != nil {
		return err
	}
	deps, err := dependencies(ctx, c, config.NodeStatusUpdateFrequency.Duration, faults)
	if err != nil {
		return err
	}
	server := &options.KubeletServer{KubeletFlags: *flags, KubeletConfiguration: *config}
	if err := kubeletapp.RunKubelet(ctx, server, deps); err != nil {
		return fmt.Errorf("run the kubelet: %w", err)
	}
	return nil
}

func dependencies(ctx context.Context, c Config, heartbeat time.Duration, faults *fault.Set) (*kubelet.Dependencies, error) {
	restConfig, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubelet's kubeconfig: %w", err)
	}
	restConfig.UserAgent = "kubelet"
	restConfig.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := clientFor(restConfig, 50, 100, 0)
	if err != nil {
		return nil, err
	}
	// Events and heartbeats have clients of their own in the real kubelet too:
	// many events must not delay a heartbeat.
	events, err := clientFor(restConfig, 50, 100, 0)
	if err != nil {
		return nil, err
	}
	heartbeats, err := clientFor(restConfig, -1, 0, heartbeat)
	if err != nil {
		return nil, err
	}
	runtimeService, imageService, err := runtimeClients(ctx, c)
	if err != nil {
		return nil, err
	}
	return &kubelet.Dependencies{
		KubeClient:                client,
		EventClient:               events.CoreV1(),
		HeartbeatClient:           heartbeats,
		RemoteRuntimeService:      runtimeService,
		RemoteImageService:        imageService,
		CAdvisorInterface:         newMachine(c),
		OSInterface:               &containertest.FakeOS{},
		ContainerManager:          cm.NewStubContainerManager(),
		VolumePlugins:             volumePlugins(),
		OOMAdjuster:               oom.NewFakeOOMAdjuster(),
		Mounter:                   &mounter{FakeMounter: mount.NewFakeMounter(nil), faults: faults, root: c.root()},
		Subpather:                 &subpath.FakeSubpath{},
		HostUtil:                  hostutil.NewFakeHostUtil(nil),
		PodStartupLatencyTracker:  kubeletutil.NewPodStartupLatencyTracker(),
		NodeStartupLatencyTracker: kubeletutil.NewNodeStartupLatencyTracker(klog.FromContext(ctx)),
		TracerProvider:            noopoteltrace.NewTracerProvider(),
	}, nil
}

func clientFor(config *rest.Config, qps float32, burst int, timeout time.Duration) (kubernetes.Interface, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.Timeout = qps, burst, timeout
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for the kubelet: %w", err)
	}
	return client, nil
}

func runtimeClients(ctx context.Context, c Config) (internalapi.RuntimeService, internalapi.ImageManagerService, error) {
	endpoint := "unix://" + c.runtimeSocket()
	// What the builder calls a connection timeout is the timeout of each call.
	runtimeService, err := remote.NewRemoteRuntimeServiceBuilder().
		WithEndpoint(endpoint).WithConnectionTimeout(c.RuntimeRequestTimeout).Build(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the runtime: %w", err)
	}
	imageService, err := remote.NewRemoteImageServiceBuilder().
		WithEndpoint(endpoint).WithConnectionTimeout(c.RuntimeRequestTimeout).Build(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the image service: %w", err)
	}
	return runtimeService, imageService, nil
}

func volumePlugins() []volume.VolumePlugin {
	var plugins []volume.VolumePlugin
	plugins = append(plugins, emptydir.ProbeVolumePlugins()...)
	plugins = append(plugins, hostpath.FakeProbeVolumePlugins(volume.VolumeConfig{})...)
	plugins = append(plugins, nfs.ProbeVolumePlugins(volume.VolumeConfig{})...)
	plugins = append(plugins, secret.ProbeVolumePlugins()...)
	plugins = append(plugins, downwardapi.ProbeVolumePlugins()...)
	plugins = append(plugins, configmap.ProbeVolumePlugins()...)
	plugins = append(plugins, projected.ProbeVolumePlugins()...)
	plugins = append(plugins, local.ProbeVolumePlugins()...)
	plugins = append(plugins, volumecsi.ProbeVolumePlugins()...)
	return plugins
}

// kubeletConfiguration is the default one, but for what needs a real machine.
// The times are the defaults as far as they show in the API.
func kubeletConfiguration(c Config) (*options.KubeletFlags, *kubeletconfig.KubeletConfiguration, error) {
	flags := options.NewKubeletFlags()
	flags.RootDirectory = c.root()
	flags.CertDirectory = filepath.Join(c.root(), "pki")
	flags.HostnameOverride = c.Name
	flags.NodeLabels = c.Labels
	// The bed gives the node its addresses, as a cloud provider would: the
	// kubelet itself refuses those that no network card has.
	flags.CloudProvider = "external"

	config, err := options.NewKubeletConfiguration()
	if err != nil {
		return nil, nil, fmt.Errorf("make the kubelet's configuration: %w", err)
	}
	config.ContainerRuntimeEndpoint = "unix://" + c.runtimeSocket()
	config.ImageServiceEndpoint = config.ContainerRuntimeEndpoint
	config.RuntimeRequestTimeout = metav1.Duration{Duration: c.RuntimeRequestTimeout}
	// A minute by default; shorter, a CrashLoopBackOff shows sooner.
	config.SyncFrequency = metav1.Duration{Duration: 10 * time.Second}
	config.EnableServer = true
	config.Address = "127.0.0.1"
	config.Port = int32(c.KubeletPort)
	config.ReadOnlyPort = 0               // it would listen on all addresses
	config.EnableSystemLogHandler = false // see serveKubeletAPI
	config.MaxPods = c.MaxPods
	config.ClusterDNS = []string{"10.96.0.10"}
	config.ClusterDomain = "cluster.local"
	config.RegisterWithTaints = c.Taints
	config.PodLogsDir = filepath.Join(c.root(), "logs")
	config.ProviderID = "example://" + c.Name
	config.RegistryPullQPS = 50
	config.RegistryBurst = 100
	config.SerializeImagePulls = false
	// There are no cgroups, and no files but in the kubelet's directory.
	config.CgroupsPerQOS = false
	config.EnforceNodeAllocatable = nil
	config.ProtectKernelDefaults = false
	config.MaxOpenFiles = 4096 // no more than an ordinary user may have
	config.EnableControllerAttachDetach = true
	if c.StaticPods {
		config.StaticPodPath = StaticPods(c.Dir)
		config.FileCheckFrequency = metav1.Duration{Duration: 2 * time.Second}
	}
	return flags, config, nil
}
