package node

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/status"
	"k8s.io/mount-utils"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// kubeletRoot is where a real kubelet keeps its volumes; messages show that
// and not the bed's temporary directory.
const kubeletRoot = "/var/lib/kubelet"

// mounter is kubemark's, which only takes notes, behind the node's faults.
type mounter struct {
	*mount.FakeMounter

	faults *fault.Set
	root   string
}

var _ mount.Interface = &mounter{}

func (m *mounter) before(call fault.Call, source, target string) error {
	about := fault.Subject{Source: source, ID: strings.Replace(target, m.root, kubeletRoot, 1)}
	// A mount has no deadline of its own: a hanging one hangs until it is let go.
	if err := m.faults.Before(context.Background(), call, about); err != nil {
		return errors.New(status.Convert(err).Message())
	}
	return nil
}

func (m *mounter) Mount(source, target, fstype string, options []string) error {
	return m.MountSensitive(source, target, fstype, options, nil)
}

func (m *mounter) MountSensitive(source, target, fstype string, options, sensitive []string) error {
	if err := m.before(fault.Mount, source, target); err != nil {
		return err
	}
	return m.FakeMounter.MountSensitive(source, target, fstype, options, sensitive)
}

func (m *mounter) MountSensitiveWithoutSystemd(source, target, fstype string, options, sensitive []string) error {
	return m.MountSensitive(source, target, fstype, options, sensitive)
}

func (m *mounter) MountSensitiveWithoutSystemdWithMountFlags(source, target, fstype string, options, sensitive, _ []string) error {
	return m.MountSensitive(source, target, fstype, options, sensitive)
}

func (m *mounter) Unmount(target string) error {
	points, err := m.List()
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(points, func(p mount.MountPoint) bool { return p.Path == target }); i >= 0 {
		if err := m.before(fault.Unmount, points[i].Device, target); err != nil {
			return err
		}
	}
	return m.FakeMounter.Unmount(target)
}

// List copies: the fake one hands out the slice that it goes on changing.
func (m *mounter) List() ([]mount.MountPoint, error) {
	points, err := m.FakeMounter.List()
	return slices.Clone(points), err
}
