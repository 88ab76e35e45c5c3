package remedy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func TestTheStepsForTheMachineAreThoseOfItsRuntimeAndSystem(t *testing.T) {
	for name, c := range map[string]struct {
		runtime, os, slug string
		first             string // what the step after getting there is about
		has, lacks        string
	}{
		"containerd":     {"containerd://2.1.4", "Ubuntu 24.04", "", "Read what the kubelet", "ctr -n k8s.io tasks ls", "docker"},
		"cri-o":          {"cri-o://1.34.0", "Red Hat Enterprise Linux CoreOS", "", "Read what the kubelet", "-u crio", "ctr -n"},
		"docker":         {"docker://20.10.7", "CentOS Linux 7", "", "Read what the kubelet", "timeout 20 docker ps", "crictl ps"},
		"no processes":   {"docker://20.10.7", "CentOS Linux 7", "pid-thread-exhaustion", "ran out of processes", "pid_max", "crictl ps"},
		"a dead mount":   {"containerd://2.1.4", "Debian 12", "nfs-server-dead", "disks and mounts answer", "umount -f -l", "docker"},
		"a full disk":    {"containerd://2.1.4", "Debian 12", "node-disk-full", "file system is full", "df -i", "docker"},
		"talos":          {"containerd://2.1.4", "Talos (v1.11)", "", "Read what the kubelet", "talosctl -n <address> reboot", "journalctl"},
		"windows":        {"containerd://1.7.20", "Windows Server 2022 Datacenter", "", "Read what the kubelet", "Restart-Computer", "findmnt"},
		"nothing known":  {"", "", "", "Read what the kubelet", "crictl ps", "docker"},
		"a hung runtime": {"containerd://2.1.4", "Ubuntu 24.04", "runtime-hung", "Read what the kubelet", "systemctl reboot", "docker"},
	} {
		n := &NodeCase{Ref: snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, Node: &corev1.Node{}}
		n.Node.Status.NodeInfo = corev1.NodeSystemInfo{ContainerRuntimeVersion: c.runtime, OSImage: c.os}
		if c.slug != "" {
			n.Findings = []diagnose.Finding{{Slug: c.slug}}
		}
		steps := HostSteps(n)
		var all strings.Builder
		for i, s := range steps {
			if s.What == "" || s.Why == "" {
				t.Errorf("%s: step %d says not what or why: %+v", name, i+1, s)
			}
			all.WriteString(strings.Join(s.Commands, "\n") + "\n")
		}
		if !strings.Contains(steps[1].What, c.first) {
			t.Errorf("%s: the first thing to look at is %q", name, steps[1].What)
		}
		if text := all.String(); !strings.Contains(text, c.has) || strings.Contains(text, c.lacks) {
			t.Errorf("%s: %s", name, text)
		}
		if last := steps[len(steps)-1]; len(last.Commands) != 1 || last.Commands[0] != "kubectl stuck node worker-3 --wait --restore" {
			t.Errorf("%s: it ends with %v", name, last.Commands)
		}
	}
	if steps := HostSteps(&NodeCase{}); len(steps) < 5 {
		t.Errorf("of a node that nobody knows: %d steps", len(steps))
	}
}
