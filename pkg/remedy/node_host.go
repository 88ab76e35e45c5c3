package remedy

import (
	"fmt"
	"slices"
	"strings"
)

// HostSteps are what is to be done on the machine of a node whose Node object is deleted, in order. They are for this node's runtime and operating system,
// and begin with what its findings point to.
func HostSteps(c *NodeCase) []HostStep {
	if c == nil || c.Node == nil {
		return generalHost("", hostOf("", ""), nil)
	}
	info := c.Node.Status.NodeInfo
	var slugs []string
	for _, f := range c.Findings {
		slugs = append(slugs, f.Slug)
		slugs = append(slugs, f.Alternatives...)
	}
	for _, p := range c.Pods {
		for _, f := range p.Case.Findings {
			slugs = append(slugs, f.Slug)
		}
	}
	return generalHost(c.Ref.Name, hostOf(info.ContainerRuntimeVersion, info.OSImage), slugs)
}

// host is what the commands depend on.
type host struct {
	runtime string // as people call it
	unit    string // of systemd; empty where that is not known
	list    []string
	stop    string
	// closed names an operating system without a shell of the usual kind; empty for the others.
	closed string
	reboot string
	kubelet,
	logs string
}

func hostOf(runtime, os string) host {
	h := host{runtime: "the container runtime", list: []string{"crictl ps"}, stop: "crictl stop --timeout 10 $(crictl ps -q)", reboot: "systemctl reboot", kubelet: "systemctl enable --now kubelet"}
	switch scheme, _, _ := strings.Cut(runtime, "://"); scheme {
	case "containerd":
		h.runtime, h.unit = "containerd", "containerd"
		h.list = []string{"crictl ps", "ctr -n k8s.io tasks ls"}
	case "cri-o":
		h.runtime, h.unit = "CRI-O", "crio"
	case "docker":
		h.runtime, h.unit = "docker", "docker"
		h.list = []string{"timeout 20 docker ps"}
		h.stop = "docker stop -t 10 $(docker ps -q)"
	}
	h.logs = "journalctl --utc -o short-iso -u kubelet"
	if h.unit != "" {
		h.logs += " -u " + h.unit
	}
	name := strings.ToLower(os)
	switch {
	case strings.Contains(name, "talos"):
		h.closed, h.list, h.stop = "Talos has no shell", []string{"talosctl -n <address> containers -k"}, ""
		h.reboot, h.kubelet, h.logs = "talosctl -n <address> reboot", "talosctl -n <address> service kubelet start", "talosctl -n <address> logs kubelet; talosctl -n <address> dmesg"
	case strings.Contains(name, "bottlerocket"):
		h.closed = "Bottlerocket has a root shell only in its admin container: sheltie"
		h.reboot = "apiclient reboot"
	case strings.Contains(name, "windows"):
		h.closed, h.list, h.stop = "a Windows node takes PowerShell", []string{"crictl ps"}, ""
		h.reboot, h.kubelet, h.logs = "Restart-Computer -Force", "Start-Service kubelet", `Get-Content C:\k\kubelet.log -Tail 500`
	}
	return h
}

// generalHost are the steps, those that fit what was found first.
func generalHost(node string, h host, slugs []string) []HostStep {
	found := func(parts ...string) bool {
		return slices.ContainsFunc(slugs, func(s string) bool {
			return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
		})
	}
	machine := "the machine of the node"
	if node != "" {
		machine = "the machine of node " + node
	}
	windows := strings.Contains(h.closed, "PowerShell")
	talos := strings.Contains(h.closed, "Talos")
	get := HostStep{
		What: fmt.Sprintf("Get onto %s: over SSH, or over its console where SSH hangs too.", machine),
		Why:  "Deleting its Node object changed nothing on it: containers that ran go on running, and only the machine itself can tell and end that.",
	}
	if h.closed != "" {
		get.Why += " " + h.closed + "."
	}
	logs := HostStep{
		What:     "Read what the kubelet, the runtime and the kernel wrote, before the reboot takes part of it away.",
		Why:      "It holds the cause: rpc errors with context deadline exceeded, PLEG is not healthy, resource temporarily unavailable, hung tasks. `kubectl stuck scan-logs` names causes in it.",
		Commands: []string{h.logs + " > node.log", "kubectl stuck scan-logs node.log"},
	}
	if !windows && !talos {
		logs.Commands = append([]string{h.logs + " > node.log", "dmesg -T >> node.log"}, "kubectl stuck scan-logs node.log", "kubectl stuck scan-logs /var/log/messages")
	}
	containers := HostStep{
		What:     fmt.Sprintf("See whether the containers have stopped, and stop those that have not. If the command does not answer, %s hangs: go on with the reboot.", h.runtime),
		Why:      "Their pods run elsewhere by now. Two of a kind that write to one volume destroy it; wait no longer than 5 minutes for what does not end.",
		Commands: slices.Clone(h.list),
	}
	if h.stop != "" {
		containers.Commands = append(containers.Commands, h.stop)
	}
	steps := []HostStep{get}
	if !windows && !talos {
		hung := HostStep{
			What: "See which processes wait for the kernel (state D), and for what.",
			Why:  "Nothing ends such a process but the end of what it waits for, or a reboot.",
			Commands: []string{
				`ps -eo pid,stat,wchan:32,cmd | awk '$2 ~ /D/'`,
			},
		}
		mounts := HostStep{
			What:     "See whether disks and mounts answer: df or ls that hangs names the path that is dead.",
			Why:      "A dead NFS server or disk holds every process that touches it, the kubelet's cleanup and the runtime among them. Restore the server if that can be done; a lazy unmount only takes the path away, and what waits already goes on waiting.",
			Commands: []string{"timeout 10 df -h", "findmnt -t nfs,nfs4,cifs,ceph,fuse,fuse.glusterfs", "umount -f -l <path>"},
		}
		limits := HostStep{
			What:     "See whether the machine ran out of processes or threads, and who has them.",
			Why:      "Where fork fails with \"resource temporarily unavailable\" nothing can be started or stopped. Raise the limit that was met, or find who makes so many, or it comes back after the reboot.",
			Commands: []string{"cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max", "ps -eLf | wc -l", "ps -eo nlwp,pid,user,cmd --sort=-nlwp | head", "ulimit -u; systemctl show -p TasksMax kubelet " + h.unit, "cat /sys/fs/cgroup/kubepods*/pids.max"},
		}
		disk := HostStep{
			What:     "See whether a file system is full, of bytes or of inodes.",
			Why:      "A full disk keeps the runtime from starting anything, also after a reboot.",
			Commands: []string{"timeout 10 df -h", "timeout 10 df -i"},
		}
		pids, dead, full := found("pid-thread", "fork", "inotify"), found("nfs", "mount", "volume", "d-state", "hung-task"), found("disk", "thin-pool", "inode")
		if pids {
			steps = append(steps, limits)
		}
		if full {
			steps = append(steps, disk)
		}
		if dead {
			steps = append(steps, mounts, hung)
		}
		steps = append(steps, logs, containers)
		if !dead {
			steps = append(steps, mounts, hung)
		}
		if !pids {
			steps = append(steps, limits)
		}
	} else {
		steps = append(steps, logs, containers)
	}
	back := "kubectl stuck node <node> --wait --restore"
	if node != "" {
		back = "kubectl stuck node " + quote(node) + " --wait --restore"
	}
	after := HostStep{
		What: "See that the machine came back whole: its mounts are there, its clock is right, and the runtime answers.",
		Why:  "What hung before hangs again where a mount did not come back; then look for another fault of the machine before it gets work.",
	}
	if !windows && !talos {
		after.Commands = []string{"timeout 10 df -h", "findmnt --verify --fstab", "crictl info | head"}
		if h.unit == "docker" {
			after.Commands[2] = "docker info | head"
		}
	}
	return append(steps,
		HostStep{
			What: "Reboot the machine.", Commands: []string{h.reboot},
			Why: "It ends what cannot be ended otherwise: containers that do not stop, tasks that wait for the kernel, mounts that are dead. Where it does not go down, switch it off and on at its console.",
		},
		HostStep{
			What: "See that the kubelet runs, and that it starts by itself at boot.", Commands: []string{h.kubelet},
			// pkg/kubelet/kubelet_node_status.go: registerWithAPIServer returns at once where registrationCompleted is set; updateNodeStatus only reports that the node is not found.
			Why: "A kubelet registers its Node once, when it starts. One that went on running while its Node object was deleted does not register it again until it is restarted.",
		},
		after,
		HostStep{
			What: "Wait for the node to register, give it back its labels, taints and annotations, and prove it.", Commands: []string{back},
			Why: "The new Node object has only what its kubelet and the cloud know. Role labels are not among that.",
		},
	)
}
