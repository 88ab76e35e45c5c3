//go:build unix && !linux

package bed

import "syscall"

func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func nodeAttributes() *syscall.SysProcAttr { return childAttributes() }
