package bed

import (
	"os"
	"syscall"
)

// childAttributes makes a child die with the thread that started it, and puts
// it into its own process group: a Ctrl-C at the terminal must reach only the
// parent, which then ends the children in order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// nodeAttributes are a child's, in a user namespace where that is needed: a
// kubelet insists on the kernel's log, except in a user namespace.
func nodeAttributes() *syscall.SysProcAttr {
	attributes := childAttributes()
	if kernelLogReadable() {
		return attributes
	}
	attributes.Cloneflags = syscall.CLONE_NEWUSER
	attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	return attributes
}

func kernelLogReadable() bool {
	file, err := os.Open("/dev/kmsg")
	if err != nil {
		return false
	}
	file.Close()
	return true
}
