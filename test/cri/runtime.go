package cri

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// DefaultVersion is the containerd that the runtime says it is.
const DefaultVersion = "2.4.2"

// Options describe the runtime of one node.
type Options struct {
	// Version is the containerd version; DefaultVersion when empty.
	Version string
	// PodCIDR is where pod addresses come from.
	PodCIDR netip.Prefix
	// Faults is asked before each call.
	Faults *fault.Set
	// Images is the file in which the names of the images are kept from one start to the next; empty: they are forgotten.
	Images string
	// Log, if not nil, is told of calls that fail, as containerd tells its own.
	Log io.Writer
}

// runtime is the RuntimeService.
type runtime struct {
	runtimeapi.UnimplementedRuntimeServiceServer

	opts Options

	mu         sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
	lastIP     netip.Addr
}

func newRuntime(opts Options) *runtime {
	if opts.Version == "" {
		opts.Version = DefaultVersion
	}
	return &runtime{
		opts:       opts,
		sandboxes:  map[string]*sandbox{},
		containers: map[string]*container{},
		lastIP:     opts.PodCIDR.Addr().Next(), // .1 is the bridge's
	}
}

func newID() string {
	var id [32]byte
	// It never fails, and ends the program if it does.
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// nextIP hands out the addresses of the node's range round and round; a used
// one is met again only after all others.
func (r *runtime) nextIP() string {
	r.lastIP = r.lastIP.Next()
	if !r.opts.PodCIDR.Contains(r.lastIP) {
		r.lastIP = r.opts.PodCIDR.Addr().Next().Next()
	}
	return r.lastIP.String()
}

func (r *runtime) Version(context.Context, *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	return &runtimeapi.VersionResponse{
		Version:           "0.1.0",
		RuntimeName:       "containerd",
		RuntimeVersion:    r.opts.Version,
		RuntimeApiVersion: "v1",
	}, nil
}

func (r *runtime) Status(context.Context, *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	conditions := []*runtimeapi.RuntimeCondition{
		{Type: runtimeapi.RuntimeReady, Status: true},
		{Type: runtimeapi.NetworkReady, Status: true},
	}
	for _, wrong := range r.opts.Faults.Conditions() {
		for _, condition := range conditions {
			if condition.Type == wrong.Type {
				condition.Status = false
				condition.Reason, condition.Message = wrong.Reason, wrong.Message
			}
		}
	}
	features := &runtimeapi.RuntimeHandlerFeatures{RecursiveReadOnlyMounts: true}
	return &runtimeapi.StatusResponse{
		Status: &runtimeapi.RuntimeStatus{Conditions: conditions},
		RuntimeHandlers: []*runtimeapi.RuntimeHandler{
			{Name: "", Features: features},
			{Name: "runc", Features: features},
		},
		Features: &runtimeapi.RuntimeFeatures{SupplementalGroupsPolicy: true},
	}, nil
}

func (r *runtime) RuntimeConfig(context.Context, *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	return &runtimeapi.RuntimeConfigResponse{
		Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: runtimeapi.CgroupDriver_SYSTEMD},
	}, nil
}

func (r *runtime) UpdateRuntimeConfig(context.Context, *runtimeapi.UpdateRuntimeConfigRequest) (*runtimeapi.UpdateRuntimeConfigResponse, error) {
	return &runtimeapi.UpdateRuntimeConfigResponse{}, nil
}

func (r *runtime) RunPodSandbox(_ context.Context, request *runtimeapi.RunPodSandboxRequest) (*runtimeapi.RunPodSandboxResponse, error) {
	if handler := request.GetRuntimeHandler(); handler != "" && handler != "runc" {
		return nil, status.Errorf(codes.Unknown, "failed to get sandbox runtime: no runtime for %q is configured", handler)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &sandbox{
		id:      newID(),
		config:  request.GetConfig(),
		handler: request.GetRuntimeHandler(),
		created: time.Now(),
		ready:   true,
	}
	network := s.config.GetLinux().GetSecurityContext().GetNamespaceOptions().GetNetwork()
	if s.networks = network != runtimeapi.NamespaceMode_NODE; s.networks {
		s.ip = r.nextIP()
	}
	r.sandboxes[s.id] = s
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: s.id}, nil
}

// StopPodSandbox ends what still runs in the sandbox and may be repeated, as
// the CRI wants it.
func (r *runtime) StopPodSandbox(_ context.Context, request *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	for _, c := range r.containersOf(request.GetPodSandboxId()) {
		c.kill()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.sandboxes[request.GetPodSandboxId()]; ok {
		s.ready = false
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

func (r *runtime) RemovePodSandbox(_ context.Context, request *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	containers := r.containersOf(request.GetPodSandboxId())
	for _, c := range containers {
		c.kill()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range containers {
		delete(r.containers, c.id)
	}
	delete(r.sandboxes, request.GetPodSandboxId())
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

func (r *runtime) PodSandboxStatus(_ context.Context, request *runtimeapi.PodSandboxStatusRequest) (*runtimeapi.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sandboxes[request.GetPodSandboxId()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "an error occurred when try to find sandbox: %q not found", request.GetPodSandboxId())
	}
	answer := &runtimeapi.PodSandboxStatus{
		Id:        s.id,
		Metadata:  s.config.GetMetadata(),
		State:     s.state(),
		CreatedAt: s.created.UnixNano(),
		Network:   &runtimeapi.PodSandboxNetworkStatus{},
		Linux: &runtimeapi.LinuxPodSandboxStatus{
			Namespaces: &runtimeapi.Namespace{Options: s.config.GetLinux().GetSecurityContext().GetNamespaceOptions()},
		},
		Labels:         maps.Clone(s.config.GetLabels()),
		Annotations:    maps.Clone(s.config.GetAnnotations()),
		RuntimeHandler: s.handler,
	}
	if s.ready {
		answer.Network.Ip = s.ip
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: answer}, nil
}

func (r *runtime) ListPodSandbox(_ context.Context, request *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	filter := request.GetFilter()
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := &runtimeapi.ListPodSandboxResponse{}
	for _, s := range r.sandboxes {
		if filter.GetId() != "" && filter.GetId() != s.id ||
			filter.GetState() != nil && filter.GetState().GetState() != s.state() ||
			!selects(filter.GetLabelSelector(), s.config.GetLabels()) {
			continue
		}
		answer.Items = append(answer.Items, &runtimeapi.PodSandbox{
			Id:             s.id,
			Metadata:       s.config.GetMetadata(),
			State:          s.state(),
			CreatedAt:      s.created.UnixNano(),
			Labels:         maps.Clone(s.config.GetLabels()),
			Annotations:    maps.Clone(s.config.GetAnnotations()),
			RuntimeHandler: s.handler,
		})
	}
	return answer, nil
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

func (r *runtime) CreateContainer(_ context.Context, request *runtimeapi.CreateContainerRequest) (*runtimeapi.CreateContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sandboxes[request.GetPodSandboxId()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "failed to find sandbox id %q: not found", request.GetPodSandboxId())
	}
	config := request.GetConfig()
	c := &container{
		id:      newID(),
		sandbox: s,
		config:  config,
		created: time.Now(),
		program: parseProgram(config.GetCommand(), config.GetArgs()),
		state:   runtimeapi.ContainerState_CONTAINER_CREATED,
		gone:    make(chan struct{}),
	}
	r.containers[c.id] = c
	return &runtimeapi.CreateContainerResponse{ContainerId: c.id}, nil
}

func (r *runtime) StartContainer(_ context.Context, request *runtimeapi.StartContainerRequest) (*runtimeapi.StartContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := c.writeLog(); err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	c.start()
	return &runtimeapi.StartContainerResponse{}, nil
}

func (r *runtime) StopContainer(ctx context.Context, request *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if status.Code(err) == codes.NotFound {
		return &runtimeapi.StopContainerResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := c.stop(ctx, time.Duration(request.GetTimeout())*time.Second); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return &runtimeapi.StopContainerResponse{}, nil
}

func (r *runtime) RemoveContainer(_ context.Context, request *runtimeapi.RemoveContainerRequest) (*runtimeapi.RemoveContainerResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err == nil {
		c.kill()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.containers, c.id)
	}
	return &runtimeapi.RemoveContainerResponse{}, nil
}

func (r *runtime) ListContainers(_ context.Context, request *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	filter := request.GetFilter()
	answer := &runtimeapi.ListContainersResponse{}
	for _, c := range r.all() {
		item := c.summary()
		if filter.GetId() != "" && filter.GetId() != c.id ||
			filter.GetPodSandboxId() != "" && filter.GetPodSandboxId() != c.sandbox.id ||
			filter.GetState() != nil && filter.GetState().GetState() != item.GetState() ||
			!selects(filter.GetLabelSelector(), item.GetLabels()) {
			continue
		}
		answer.Containers = append(answer.Containers, item)
	}
	return answer, nil
}

func (r *runtime) ContainerStatus(_ context.Context, request *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ContainerStatusResponse{Status: c.status()}, nil
}

func (r *runtime) UpdateContainerResources(context.Context, *runtimeapi.UpdateContainerResourcesRequest) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

func (r *runtime) ReopenContainerLog(context.Context, *runtimeapi.ReopenContainerLogRequest) (*runtimeapi.ReopenContainerLogResponse, error) {
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}

// ExecSync runs a hook or probe.
func (r *runtime) ExecSync(ctx context.Context, request *runtimeapi.ExecSyncRequest) (*runtimeapi.ExecSyncResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	if timeout := request.GetTimeout(); timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(timeout)*time.Second)
		defer cancel()
	}
	ended, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// A container takes what runs in it along.
		select {
		case <-c.gone:
			cancel()
		case <-ended.Done():
		}
	}()
	code, err := parseHook(request.GetCmd()).run(ended)
	if err != nil {
		if ctx.Err() == nil {
			return &runtimeapi.ExecSyncResponse{ExitCode: codeKilled}, nil
		}
		return nil, status.Errorf(codes.DeadlineExceeded, "failed to exec in container: timeout %ds exceeded: context deadline exceeded", request.GetTimeout())
	}
	return &runtimeapi.ExecSyncResponse{ExitCode: code}, nil
}

func (r *runtime) ContainerStats(_ context.Context, request *runtimeapi.ContainerStatsRequest) (*runtimeapi.ContainerStatsResponse, error) {
	c, err := r.container(request.GetContainerId())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.ContainerStatsResponse{Stats: statsOf(c)}, nil
}

func (r *runtime) ListContainerStats(context.Context, *runtimeapi.ListContainerStatsRequest) (*runtimeapi.ListContainerStatsResponse, error) {
	answer := &runtimeapi.ListContainerStatsResponse{}
	for _, c := range r.all() {
		answer.Stats = append(answer.Stats, statsOf(c))
	}
	return answer, nil
}

func (r *runtime) ListPodSandboxStats(context.Context, *runtimeapi.ListPodSandboxStatsRequest) (*runtimeapi.ListPodSandboxStatsResponse, error) {
	return &runtimeapi.ListPodSandboxStatsResponse{}, nil
}

// statsOf makes up the little use that an idle server makes of a machine.
func statsOf(c *container) *runtimeapi.ContainerStats {
	now := time.Now()
	s := c.status()
	return &runtimeapi.ContainerStats{
		Attributes: &runtimeapi.ContainerAttributes{Id: s.Id, Metadata: s.Metadata, Labels: s.Labels, Annotations: s.Annotations},
		Cpu: &runtimeapi.CpuUsage{
			Timestamp:            now.UnixNano(),
			UsageCoreNanoSeconds: &runtimeapi.UInt64Value{Value: uint64(now.Sub(c.created) / 1000)},
		},
		Memory: &runtimeapi.MemoryUsage{
			Timestamp:       now.UnixNano(),
			WorkingSetBytes: &runtimeapi.UInt64Value{Value: 32 << 20},
		},
		WritableLayer: &runtimeapi.FilesystemUsage{
			Timestamp:  now.UnixNano(),
			FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: imageFilesystem},
			UsedBytes:  &runtimeapi.UInt64Value{Value: 1 << 20},
			InodesUsed: &runtimeapi.UInt64Value{Value: 16},
		},
	}
}

func (r *runtime) container(id string) (*container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.containers[id]; ok {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "an error occurred when try to find container %q: not found", id)
}

func (r *runtime) all() []*container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.containers))
}

func (r *runtime) containersOf(sandboxID string) []*container {
	return slices.DeleteFunc(r.all(), func(c *container) bool { return c.sandbox.id != sandboxID })
}

// about finds what a request is about, for the faults.
func (r *runtime) about(request any) fault.Subject {
	switch request := request.(type) {
	case *runtimeapi.RunPodSandboxRequest:
		metadata := request.GetConfig().GetMetadata()
		return fault.Subject{Namespace: metadata.GetNamespace(), Pod: metadata.GetName(), ID: newID()}
	case *runtimeapi.CreateContainerRequest:
		metadata := request.GetSandboxConfig().GetMetadata()
		return fault.Subject{
			Namespace: metadata.GetNamespace(),
			Pod:       metadata.GetName(),
			Container: request.GetConfig().GetMetadata().GetName(),
			Image:     imageName(request.GetConfig().GetImage()),
			ID:        newID(),
		}
	case *runtimeapi.PullImageRequest:
		metadata := request.GetSandboxConfig().GetMetadata()
		return fault.Subject{Namespace: metadata.GetNamespace(), Pod: metadata.GetName(), Image: imageName(request.GetImage())}
	case *runtimeapi.ImageStatusRequest:
		return fault.Subject{Image: imageName(request.GetImage())}
	case interface{ GetContainerId() string }:
		return r.aboutContainer(request.GetContainerId())
	case interface{ GetPodSandboxId() string }:
		return r.aboutSandbox(request.GetPodSandboxId())
	default:
		return fault.Subject{}
	}
}

func (r *runtime) aboutSandbox(id string) fault.Subject {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := fault.Subject{ID: id}
	if s, ok := r.sandboxes[id]; ok {
		about.Namespace, about.Pod = s.config.GetMetadata().GetNamespace(), s.config.GetMetadata().GetName()
	}
	return about
}

func (r *runtime) aboutContainer(id string) fault.Subject {
	r.mu.Lock()
	defer r.mu.Unlock()
	about := fault.Subject{ID: id}
	if c, ok := r.containers[id]; ok {
		metadata := c.sandbox.config.GetMetadata()
		about.Namespace, about.Pod = metadata.GetNamespace(), metadata.GetName()
		about.Container, about.Image = c.config.GetMetadata().GetName(), imageName(c.config.GetImage())
	}
	return about
}
