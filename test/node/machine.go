package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	cadvisorapi "github.com/google/cadvisor/lib/model"
	"k8s.io/klog/v2"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
)

// machine is the made-up machine that the kubelet finds itself on.
type machine struct {
	cadvisortest.Fake

	config Config
	id     string
	boot   string
}

func newMachine(c Config) *machine {
	return &machine{Fake: cadvisortest.Fake{NodeName: c.Name}, config: c, id: machineID(c.Name), boot: randomUUID()}
}

// machineID stays the same when the node is restarted; the boot ID does not.
func machineID(name string) string {
	var id [16]byte
	copy(id[:], name)
	return hex.EncodeToString(id[:])
}

func randomUUID() string {
	var b [16]byte
	// It never fails, and ends the program if it does.
	rand.Read(b[:])
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func (m *machine) MachineInfo(klog.Logger) (*cadvisorapi.MachineInfo, error) {
	return &cadvisorapi.MachineInfo{
		NumCores:         m.config.CPUs,
		NumPhysicalCores: m.config.CPUs,
		NumSockets:       1,
		MemoryCapacity:   m.config.MemoryBytes,
		MachineID:        m.id,
		SystemUUID:       m.id,
		BootID:           m.boot,
	}, nil
}

func (m *machine) VersionInfo() (*cadvisorapi.VersionInfo, error) {
	return &cadvisorapi.VersionInfo{
		KernelVersion:      m.config.KernelVersion,
		ContainerOsVersion: m.config.OSImage,
	}, nil
}

// filesystem is half empty, so that the kubelet sees no pressure.
func filesystem() cadvisorapi.FsInfo {
	const capacity, inodes = 100 << 30, 6 << 20
	free := uint64(inodes / 2)
	total := uint64(inodes)
	return cadvisorapi.FsInfo{
		Device:     "/dev/vda1",
		Mountpoint: "/",
		Capacity:   capacity,
		Available:  capacity / 2,
		Usage:      capacity / 2,
		Inodes:     &total,
		InodesFree: &free,
	}
}

func (m *machine) ImagesFsInfo(context.Context) (cadvisorapi.FsInfo, error) { return filesystem(), nil }
func (m *machine) RootFsInfo() (cadvisorapi.FsInfo, error)                  { return filesystem(), nil }
func (m *machine) ContainerFsInfo(context.Context) (cadvisorapi.FsInfo, error) {
	return filesystem(), nil
}
func (m *machine) GetDirFsInfo(string) (cadvisorapi.FsInfo, error) { return filesystem(), nil }
