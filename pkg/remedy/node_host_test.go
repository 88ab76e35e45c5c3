package remedy

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
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
		"docker":         {"docker://20.10.7", "CentOS Linux 7", "", "Read what the kubelet", "timeout -s KILL 20 docker ps", "crictl ps"},
		"no processes":   {"docker://20.10.7", "CentOS Linux 7", "pid-thread-exhaustion", "ran out of processes", "pid_max", "crictl ps"},
		"a dead mount":   {"containerd://2.1.4", "Debian 12", "nfs-server-unreachable", "disks and mounts answer", "umount -f -l", "docker"},
		"a full disk":    {"containerd://2.1.4", "Debian 12", "image-disk-full", "file system or thin pool is full", "df -i", "docker"},
		"talos":          {"containerd://2.1.4", "Talos (v1.11)", "", "Read what the kubelet", "talosctl -n 10.0.0.7 reboot", "journalctl"},
		"windows":        {"containerd://1.7.20", "Windows Server 2022 Datacenter", "", "Read what the kubelet", "Restart-Computer", "findmnt"},
		"nothing known":  {"", "", "", "Read what the kubelet", "crictl ps", "docker"},
		"a hung runtime": {"containerd://2.1.4", "Ubuntu 24.04", "runtime-hung", "See whether containerd answers", "kill -USR1 $(pidof containerd)", "docker"},
	} {
		n := &NodeCase{Ref: snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, Node: &corev1.Node{}}
		n.Node.Status.NodeInfo = corev1.NodeSystemInfo{ContainerRuntimeVersion: c.runtime, OSImage: c.os}
		n.Node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.7"}}
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

// TestTheStepsForTheMachineKnowTheCatalogue holds the causes that they are chosen by to those that can be found.
func TestTheStepsForTheMachineKnowTheCatalogue(t *testing.T) {
	known := map[string]bool{}
	for _, c := range causes.All() {
		known[c.Slug] = true
	}
	named := survives()
	for _, f := range (host{}).fits() {
		named = append(named, f.slugs...)
	}
	for _, slug := range named {
		if !known[slug] {
			t.Errorf("no cause is called %s", slug)
		}
	}
}

func TestTheStepsForTheMachineAreThoseOfItsDistribution(t *testing.T) {
	for name, c := range map[string]struct {
		version, runtime string
		control          bool
		has              []string
		lacks            string
	}{
		"k3s":               {"v1.34.1+k3s1", "containerd://2.1.4-k3s1", false, []string{"-u k3s-agent", "k3s-killall.sh", "k3s crictl ps", "systemctl enable --now k3s-agent"}, "-u containerd"},
		"k3s server":        {"v1.34.1+k3s1", "containerd://2.1.4-k3s1", true, []string{"systemctl stop k3s\n"}, "k3s-agent"},
		"rke2":              {"v1.33.5+rke2r1", "containerd://2.1.4-k3s2", false, []string{"-u rke2-agent", "rke2-killall.sh", "agent/containerd/containerd.log"}, "-u kubelet"},
		"k0s":               {"v1.34.1+k0s", "containerd://1.7.28", false, []string{"-u k0sworker", "k0s ctr -n k8s.io tasks ls"}, "crictl"},
		"docker of 1.22":    {"v1.22.17", "docker://20.10.7", false, []string{"-u kubelet -u docker "}, "cri-docker"},
		"docker after 1.24": {"v1.30.4", "docker://26.1.3", false, []string{"-u docker -u cri-docker"}, "crictl"},
		"elsewhere":         {"v1.34.2-eks-1234", "containerd://2.1.4", false, []string{"-u kubelet -u containerd"}, "k3s"},
	} {
		n := &NodeCase{Ref: snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, Node: &corev1.Node{}}
		n.Node.Status.NodeInfo = corev1.NodeSystemInfo{ContainerRuntimeVersion: c.runtime, OSImage: "Ubuntu 24.04.1 LTS", KubeletVersion: c.version}
		if c.control {
			n.Node.Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
		}
		var all strings.Builder
		for _, s := range HostSteps(n) {
			all.WriteString(strings.Join(s.Commands, "\n") + "\n")
		}
		for _, has := range c.has {
			if text := all.String(); !strings.Contains(text, has) || strings.Contains(text, c.lacks) {
				t.Errorf("%s: it says %q, or does not say %q:\n%s", name, c.lacks, has, text)
			}
		}
	}
}

func TestWhatARebootLeavesIsToBeMended(t *testing.T) {
	n := &NodeCase{Ref: snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, Findings: []diagnose.Finding{{Code: "STK1", Slug: "kubelet-client-cert-expired", Title: "The certificate ran out"}, {Code: "STK2", Slug: "d-state-process"}}}
	var text strings.Builder
	for _, s := range HostSteps(n) {
		text.WriteString(s.What + "\n" + strings.Join(s.Commands, "\n") + "\n")
	}
	for _, has := range []string{"Mend what a reboot does not: The certificate ran out.", "kubectl stuck explain STK1", "openssl x509", "state D"} {
		if !strings.Contains(text.String(), has) {
			t.Errorf("%q is not said:\n%s", has, text.String())
		}
	}
	if strings.Contains(text.String(), "explain STK2") {
		t.Error("a task that waits in the kernel is said to outlive a reboot")
	}
}
