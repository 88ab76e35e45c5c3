package csi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// DriverName is the driver of every node of the bed.
const DriverName = "block.csi.example.com"

// maxVolumes is the attach limit that the driver reports for a node.
const maxVolumes = 24

// Driver is the identity and node service on one node.
type Driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer

	node   string
	faults *fault.Set
}

// Serve registers the driver with the kubelet whose root directory is given,
// and serves it until the context ends.
func Serve(ctx context.Context, kubeletRoot, node string, faults *fault.Set) error {
	driver := &Driver{node: node, faults: faults}
	endpoint := filepath.Join(kubeletRoot, "plugins", DriverName, "csi.sock")
	services := grpc.NewServer(grpc.UnaryInterceptor(driver.intercept))
	csi.RegisterIdentityServer(services, driver)
	csi.RegisterNodeServer(services, driver)

	registrar := grpc.NewServer()
	registration.RegisterRegistrationServer(registrar, &registrant{endpoint: endpoint})

	results := make(chan error, 2)
	serve := func(server *grpc.Server, socket string) error {
		listener, err := listen(socket)
		if err != nil {
			return err
		}
		go func() { results <- server.Serve(listener) }()
		return nil
	}
	defer registrar.Stop()
	defer services.Stop()
	if err := serve(services, endpoint); err != nil {
		return err
	}
	// The kubelet watches this folder for sockets.
	if err := serve(registrar, filepath.Join(kubeletRoot, "plugins_registry", DriverName+"-reg.sock")); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-results:
		return fmt.Errorf("serve CSI driver %s: %w", DriverName, err)
	}
}

func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o750); err != nil {
		return nil, fmt.Errorf("make a folder for CSI driver %s: %w", DriverName, err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old socket of CSI driver %s: %w", DriverName, err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for CSI driver %s: %w", DriverName, err)
	}
	return listener, nil
}

func (d *Driver) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if volume, ok := request.(interface{ GetVolumeId() string }); ok {
		call := fault.Call(filepath.Base(info.FullMethod))
		if err := d.faults.Before(ctx, call, fault.Subject{Source: volume.GetVolumeId(), ID: volume.GetVolumeId()}); err != nil {
			return nil, err
		}
	}
	return handle(ctx, request)
}

// GetPluginInfo says who the driver is.
func (d *Driver) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: DriverName, VendorVersion: "v1.9.0"}, nil
}

// Probe says that the driver is there.
func (d *Driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

// NodeGetInfo says which node this is.
func (d *Driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node, MaxVolumesPerNode: maxVolumes}, nil
}

// NodeGetCapabilities has none to offer: no staging, no statistics.
func (d *Driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// NodePublishVolume makes the folder that stands for the volume.
func (d *Driver) NodePublishVolume(_ context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := os.MkdirAll(request.GetTargetPath(), 0o750); err != nil {
		return nil, status.Errorf(codes.Internal, "publish volume %s: %v", request.GetVolumeId(), err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume removes it.
func (d *Driver) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := os.RemoveAll(request.GetTargetPath()); err != nil {
		return nil, status.Errorf(codes.Internal, "unpublish volume %s: %v", request.GetVolumeId(), err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// registrant answers the kubelet's plugin watcher.
type registrant struct {
	registration.UnimplementedRegistrationServer

	endpoint string
}

func (r *registrant) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              DriverName,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r *registrant) NotifyRegistrationStatus(context.Context, *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	// A refusal is in the kubelet's log, where a failed start shows it.
	return &registration.RegistrationStatusResponse{}, nil
}
