package remedy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// HostSteps are what is to be done on the machine of a node whose Node object is deleted, in order: first what its findings point to, then what is the same for
// all. They are for this node's runtime, distribution and operating system, as status.nodeInfo has them; where that is not known, for systemd and crictl.
func HostSteps(c *NodeCase) []HostStep {
	h := hostOf(c)
	var steps []HostStep
	switch h.os {
	case talos:
		steps = h.talos()
	case windows:
		steps = h.windows()
	default:
		steps = h.linux()
	}
	back := "kubectl stuck node NODE --wait --restore"
	if h.name != "" {
		back = fmt.Sprintf("kubectl stuck node %s --wait --restore", quote(h.name))
	}
	return append(steps, HostStep{
		What: "From where kubectl runs: wait for the node to register, give it back its labels, taints and annotations, and prove that it works.", Commands: []string{back},
		Why: "The new Node object has only what its kubelet and the cloud know of it: labels of roles are not among that. Ready alone proves little; a pod that starts there and stops again does.",
	})
}

// Operating systems that are not reached, or not rebooted, as others are.
const (
	talos        = "Talos"
	windows      = "Windows"
	bottlerocket = "Bottlerocket"
	flatcar      = "Flatcar"
)

// host is what the steps depend on.
type host struct {
	name    string // of the node; empty where that is not known
	address string // of the machine, as a word for a shell
	os      string // one of those above; empty for every other
	runtime string // as people call it
	daemon  string // its process, where it dumps its stacks on SIGUSR1
	units   []string
	kubelet string // the unit that runs the kubelet
	list    []string
	stop    []string
	answers string // tells whether the runtime answers
	files   []string
	// static are the static pods that run there, by name.
	static []string
	found  []diagnose.Finding
	slugs  []string
}

func hostOf(c *NodeCase) host {
	h := host{
		address: "ADDRESS", runtime: "the container runtime", kubelet: "kubelet", list: []string{"timeout -s KILL 20 crictl ps"}, stop: []string{"crictl stop --timeout 10 $(crictl ps -q)"},
		answers: "timeout -s KILL 20 crictl info | head",
	}
	if c == nil {
		return h
	}
	h.name = c.Ref.Name
	if h.name != "" {
		h.address = quote(h.name)
	}
	h.found = c.Findings
	for _, f := range c.Findings {
		h.slugs = append(append(h.slugs, f.Slug), f.Alternatives...)
	}
	for _, p := range c.Pods {
		if p.Case == nil {
			continue
		}
		for _, f := range p.Case.Findings {
			h.slugs = append(h.slugs, f.Slug)
		}
		if p.Fate == Remains {
			h.static = append(h.static, p.Case.Pod.Ref.Namespace+"/"+p.Case.Pod.Ref.Name)
		}
	}
	if c.Node == nil {
		return h
	}
	for _, a := range c.Node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			h.address = quote(a.Address)
			break
		}
	}
	info := c.Node.Status.NodeInfo
	h.setRuntime(info)
	h.setSystem(info)
	_, control := c.Node.Labels["node-role.kubernetes.io/control-plane"]
	h.setDistribution(info.KubeletVersion, control)
	return h
}

// setRuntime reads containerRuntimeVersion: "containerd://2.1.4".
func (h *host) setRuntime(info corev1.NodeSystemInfo) {
	scheme, _, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
	switch scheme {
	case "containerd":
		h.runtime, h.daemon, h.units = "containerd", "containerd", []string{"containerd"}
		h.list = append(h.list, "timeout -s KILL 20 ctr -n k8s.io tasks ls")
	case "cri-o":
		h.runtime, h.daemon, h.units = "CRI-O", "crio", []string{"crio"}
	case "docker":
		h.runtime, h.daemon, h.units = "docker", "dockerd", []string{"docker"}
		if !beforeDockershimWent(info.KubeletVersion) {
			h.units = append(h.units, "cri-docker")
		}
		h.list, h.stop, h.answers = []string{"timeout -s KILL 20 docker ps"}, []string{"docker stop -t 10 $(docker ps -q)"}, "timeout -s KILL 20 docker info | head"
	}
}

// beforeDockershimWent tells whether the kubelet talks to docker itself, which it did up to 1.23; later ones do so through cri-dockerd.
func beforeDockershimWent(kubelet string) bool {
	var major, minor int
	_, err := fmt.Sscanf(kubelet, "v%d.%d", &major, &minor)
	return err == nil && major == 1 && minor < 24
}

func (h *host) setSystem(info corev1.NodeSystemInfo) {
	image := strings.ToLower(info.OSImage)
	h.files = []string{"/var/log/messages"}
	switch {
	case info.OperatingSystem == "windows", strings.Contains(image, "windows"):
		h.os = windows
	case strings.Contains(image, "talos"):
		h.os = talos
	case strings.Contains(image, "bottlerocket"):
		h.os, h.files = bottlerocket, nil
		h.list, h.stop = []string{"timeout -s KILL 20 ctr -n k8s.io tasks ls"}, nil // it has no crictl
		h.answers = "timeout -s KILL 20 ctr version"
	case strings.Contains(image, "flatcar"):
		h.os, h.files = flatcar, nil
	case strings.Contains(image, "container-optimized"), strings.Contains(image, "coreos"):
		h.files = nil // they write a journal only
	case strings.Contains(image, "ubuntu"), strings.Contains(image, "debian"):
		h.files = []string{"/var/log/syslog"}
	}
}

// setDistribution reads the suffix of the kubelet's version: those that carry kubelet and containerd in one process have another unit for them.
func (h *host) setDistribution(kubelet string, control bool) {
	role := func(server, agent string) string {
		if control {
			return server
		}
		return agent
	}
	bundled := h.runtime == "containerd"
	switch {
	case strings.Contains(kubelet, "+k3s"):
		h.kubelet, h.stop, h.daemon = role("k3s", "k3s-agent"), []string{"k3s-killall.sh"}, ""
		if bundled {
			h.units, h.list, h.answers = nil, []string{"timeout -s KILL 20 k3s crictl ps"}, "timeout -s KILL 20 k3s crictl info | head"
			h.files = append(h.files, "/var/lib/rancher/k3s/agent/containerd/containerd.log")
		}
	case strings.Contains(kubelet, "+rke2"):
		at := "/var/lib/rancher/rke2"
		h.kubelet, h.stop, h.daemon = role("rke2-server", "rke2-agent"), []string{"rke2-killall.sh"}, ""
		if bundled {
			crictl := at + "/bin/crictl --config " + at + "/agent/etc/crictl.yaml"
			h.units, h.list, h.answers = nil, []string{"timeout -s KILL 20 " + crictl + " ps"}, "timeout -s KILL 20 "+crictl+" info | head"
			h.files = append(h.files, at+"/agent/logs/kubelet.log", at+"/agent/containerd/containerd.log")
		}
	case strings.Contains(kubelet, "+k0s"):
		h.kubelet, h.daemon = role("k0scontroller", "k0sworker"), ""
		if bundled {
			h.units, h.list, h.stop, h.answers = nil, []string{"timeout -s KILL 20 k0s ctr -n k8s.io tasks ls"}, nil, "timeout -s KILL 20 k0s ctr version"
		}
	}
}

// has tells whether one of the causes was found at the node or one of its pods.
func (h host) has(slugs ...string) bool {
	return slices.ContainsFunc(h.slugs, func(s string) bool { return slices.Contains(slugs, s) })
}

// fit is a step that is to be done first where one of the causes was found. What is general is done later otherwise, and the others not at all.
type fit struct {
	slugs   []string
	step    HostStep
	general bool
}

// fits are the steps that look for, or mend, one kind of fault of a Linux machine.
func (h host) fits() []fit {
	processes := []string{"kubelet"}
	if h.kubelet != "kubelet" {
		processes = []string{h.kubelet}
	}
	processes = append(processes, h.units...)
	return []fit{
		{general: true, slugs: []string{"pid-thread-exhaustion"}, step: HostStep{
			What: "See whether the machine ran out of processes or threads, by which limit, and who has them. Where SSH does not get in either, try it again: pods that end make room.",
			Why:  "Where fork fails with \"resource temporarily unavailable\" nothing can be started or stopped there. Raise the limit that was met, or find who makes so many, or it comes back after the reboot.",
			Commands: []string{
				"ps -eLf | wc -l; cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max",
				"ps -eo nlwp,pid,user,cmd --sort=-nlwp | head",
				"ulimit -u; systemctl show -p TasksMax -p TasksCurrent -p LimitNPROC " + strings.Join(processes, " "),
				"grep -H . /sys/fs/cgroup/kubepods*/pids.* /sys/fs/cgroup/pids/kubepods*/pids.* 2>/dev/null",
			},
		}},
		{slugs: []string{"inotify-fd-exhaustion"}, step: HostStep{
			What: "See who holds the inotify instances and open files, and raise the limit.",
			Why:  "Without them the kubelet and the runtime cannot watch anything. The limit is the same after the reboot unless it is set in /etc/sysctl.d.",
			Commands: []string{
				"cat /proc/sys/fs/inotify/max_user_instances /proc/sys/fs/inotify/max_user_watches /proc/sys/fs/file-nr",
				`find /proc/[0-9]*/fd -lname 'anon_inode:inotify' 2>/dev/null | cut -d/ -f3 | sort | uniq -c | sort -rn | head`,
			},
		}},
		{slugs: []string{"node-out-of-memory", "memcg-leak"}, step: HostStep{
			What:     "See who has the memory, and what the kernel killed.",
			Why:      "A machine without memory hangs in reclaim: nothing on it ends in time. Where it leaks, the reboot helps only for a while.",
			Commands: []string{"free -m", "ps -eo rss,pid,user,cmd --sort=-rss | head", "dmesg -T | grep -iE 'out of memory|oom-kill' | tail"},
		}},
		{slugs: []string{"image-disk-full", "thin-pool-full"}, step: HostStep{
			What:     "See which file system or thin pool is full, of bytes or of inodes, and make room.",
			Why:      "A full disk keeps the runtime from starting anything, also after the reboot.",
			Commands: []string{"timeout -s KILL 10 df -h", "timeout -s KILL 10 df -i", "timeout -s KILL 20 lvs", "timeout -s KILL 60 du -xhd1 /var/lib /var/log | sort -h | tail"},
		}},
		{slugs: []string{"node-disk-failing", "volume-io-error", "runtime-request-timeout-slow-disk", "multipathd-claims-device"}, step: HostStep{
			What:     "See whether a disk or a path to one fails, or is only slow.",
			Why:      "A reboot does not mend a disk. Do not give the machine work again before it is replaced.",
			Commands: []string{"dmesg -T | grep -iE 'i/o error|medium error|critical target|remounting filesystem read-only|nvme.*timeout' | tail -n 20", "grep -H . /proc/pressure/io", "lsblk -o NAME,STATE,RO,MOUNTPOINT"},
		}},
		{general: true, slugs: deadMounts(), step: HostStep{
			What: "See whether disks and mounts answer: df or ls that hangs, and every path named here, is dead. Bring its server or disk back; where that cannot be, take the mount away.",
			Why: "A dead NFS server or disk holds every process that touches it: containers that are to stop, the kubelet's cleanup, the runtime. umount -f makes requests that wait for the server fail, which is data lost that was not " +
				"written yet; -l takes the path away at once, while what hangs on it already goes on hanging until the reboot.",
			Commands: []string{
				"timeout -s KILL 10 df -h",
				"findmnt -t nfs,nfs4,cifs,ceph,fuse.ceph,fuse.glusterfs,fuse.s3fs",
				`findmnt -rn -o TARGET -t nfs,nfs4,cifs,ceph,fuse.ceph,fuse.glusterfs,fuse.s3fs | while read -r m; do timeout -s KILL 5 ls "$m" >/dev/null || echo "dead: $m"; done`,
				"umount -f -l /path/that/is/dead",
			},
		}},
		{general: true, slugs: deadMounts(), step: HostStep{
			What:     "See which processes wait in the kernel (state D), and for what.",
			Why:      "No signal ends such a process, SIGKILL neither: only the end of what it waits for, or a reboot.",
			Commands: []string{`ps -eo pid,stat,wchan:32,cmd | awk '$2 ~ /D/'`, "dmesg -T | grep -i 'blocked for more than' | tail"},
		}},
		{slugs: []string{"cgroup-systemd-failure", "cgroup-frozen"}, step: HostStep{
			What:     "See whether systemd answers, and whether a cgroup is frozen.",
			Why:      "The runtime makes and removes cgroups through systemd over D-Bus; where that hangs no container starts or stops. What is in a frozen cgroup cannot end.",
			Commands: []string{"timeout -s KILL 20 systemctl is-system-running", "timeout -s KILL 20 systemctl list-jobs", "find /sys/fs/cgroup -name cgroup.freeze -exec grep -lx 1 {} + 2>/dev/null", "find /sys/fs/cgroup -name freezer.state -exec grep -l FROZEN {} + 2>/dev/null"},
		}},
		{slugs: []string{"kubelet-client-cert-expired", "clock-skew"}, step: HostStep{
			What:     "See whether the clock is right and the kubelet's certificate is valid.",
			Why:      "With an expired certificate, or a clock that makes it one, the kubelet cannot register, and a reboot mends neither.",
			Commands: []string{"date -u; timeout -s KILL 10 timedatectl", "openssl x509 -noout -subject -enddate -in /var/lib/kubelet/pki/kubelet-client-current.pem"},
		}},
	}
}

func deadMounts() []string {
	return []string{
		"nfs-server-unreachable", "nfs-server-deleted-before-client", "nfs-stale-file-handle", "hung-fs-mount", "hung-volume-blocks-createcontainer", "fuse-endpoint-dead", "d-state-process",
		"kernel-hung-task", "mount-leaked-into-other-namespace",
	}
}

// survives are causes that are there again after a reboot.
func survives() []string {
	return []string{
		"pid-thread-exhaustion", "inotify-fd-exhaustion", "memcg-leak", "image-disk-full", "thin-pool-full", "image-store-broken", "runtime-store-corrupt", "node-disk-failing", "kubelet-client-cert-expired", "clock-skew",
		"rejected-cgroup-v1", "missing-mount-helper", "nfs-server-unreachable", "multipathd-claims-device", "runtime-request-timeout-slow-disk",
	}
}

// linux are the steps for a shell of root and systemd.
func (h host) linux() []HostStep {
	steps := []HostStep{h.reach()}
	var later []HostStep
	for _, f := range h.fits() {
		switch {
		case h.has(f.slugs...):
			steps = append(steps, f.step)
		case f.general:
			later = append(later, f.step)
		}
	}
	steps = append(steps, h.stacks()...)
	steps = append(steps, h.logs())
	steps = append(steps, h.containers()...)
	steps = append(steps, later...)
	if s, ok := h.mend(); ok {
		steps = append(steps, s)
	}
	reboot := HostStep{
		What: "Reboot the machine. Where it does not go down within some minutes, switch it off and on: at its console, its BMC or its cloud.", Commands: []string{"systemctl reboot"},
		Why: "It ends what cannot be ended otherwise: containers that do not stop, tasks that wait in the kernel, mounts that are dead. No container of the old node runs after it.",
	}
	switch h.os {
	case bottlerocket:
		reboot.Commands = []string{"apiclient reboot"}
		reboot.What += " The command is one of the control and admin containers, not of sheltie."
	case flatcar:
		reboot.Why += " An update of the operating system that waits is booted into at the same time."
		reboot.Commands = []string{"update_engine_client -status", "systemctl reboot"}
	}
	kubelet := HostStep{
		What: "See that the kubelet runs, and that it starts by itself at boot.", Commands: []string{"systemctl enable --now " + h.kubelet, "systemctl is-active " + h.kubelet}, Why: registersOnce,
	}
	if h.os == bottlerocket {
		kubelet.Commands = []string{"systemctl start kubelet", "systemctl is-active kubelet"}
	}
	return append(steps, reboot, kubelet, HostStep{
		What:     "See that the machine came back whole: its mounts are there and answer, and so does the runtime.",
		Why:      "What hung before hangs again where its mount did not come back or its server is still away. Where the node does not come back, the fault is another one of the machine: read its logs once more.",
		Commands: []string{"timeout -s KILL 10 df -h", "findmnt --verify", h.answers},
	})
}

// registersOnce: pkg/kubelet/kubelet_node_status.go, registerWithAPIServer returns at once where registrationCompleted is set, which nothing takes back;
// updateNodeStatus only reports that the node is not found.
const registersOnce = "A kubelet registers its Node once, when it starts. One that went on running while its Node object was deleted does not register it again until it is restarted."

// reach is how to get to the machine.
func (h host) reach() HostStep {
	machine := "the machine of the node"
	if h.name != "" {
		machine = "the machine of node " + h.name
	}
	s := HostStep{
		What: fmt.Sprintf("Get onto %s as root: over SSH, or at its console where SSH hangs too.", machine), Commands: []string{"ssh root@" + h.address},
		Why: "Deleting its Node object changed nothing on it: containers that ran may go on running, and only the machine itself can tell and end that.",
	}
	switch h.os {
	case bottlerocket:
		s.What = fmt.Sprintf("Get onto %s: into its control container (AWS Systems Manager), or over SSH into its admin container, and from there into a shell of root.", machine)
		s.Commands = []string{"enter-admin-container", "sudo sheltie"}
	case talos:
		s.What = fmt.Sprintf("Reach %s with talosctl.", machine)
		s.Why += " Talos has no shell and no SSH."
		s.Commands = []string{"talosctl -n " + h.address + " version", "talosctl -n " + h.address + " service"}
	case windows:
		s.What = fmt.Sprintf("Get onto %s with PowerShell as an administrator, or at its console.", machine)
		s.Commands = []string{"Enter-PSSession -ComputerName " + h.address}
	}
	return s
}

// stacks keeps what only a runtime that hangs can tell.
func (h host) stacks() []HostStep {
	if h.daemon == "" || !h.has("runtime-hung", "pleg-unhealthy-load", "pleg-unhealthy-one-pod", "runtime-state-desync", "containerd-name-reservation-leak", "containerd-stop-regression") {
		return nil
	}
	return []HostStep{{
		What: fmt.Sprintf("See whether %s answers, and have it write down where it hangs.", h.runtime), Commands: []string{h.answers, "kill -USR1 $(pidof " + h.daemon + ")"},
		Why: "PLEG is not healthy, and rpc errors with context deadline exceeded, mean that the kubelet waits for it. On SIGUSR1 it goes on running and writes the stacks of its goroutines to its log or to a file that the log names; the " +
			"reboot takes that away, and a report of the fault needs it.",
	}}
}

// logs keeps what was written before the reboot takes part of it away.
func (h host) logs() HostStep {
	units := "-u " + strings.Join(append([]string{h.kubelet}, h.units...), " -u ")
	s := HostStep{
		What:     "Read what the kubelet, the runtime and the kernel wrote, before the reboot takes part of it away. Where the machine has no kubectl, copy the files to where it is.",
		Why:      "It holds the cause: rpc errors with context deadline exceeded, PLEG is not healthy, resource temporarily unavailable, hung tasks. `kubectl stuck scan-logs` names causes in it.",
		Commands: []string{"journalctl --utc -o short-iso --since -3d " + units + " > node.log", "dmesg -T > kernel.log"},
	}
	s.Commands = append(s.Commands, "kubectl stuck scan-logs "+strings.Join(append([]string{"node.log", "kernel.log"}, h.files...), " "))
	return s
}

// containers are checked, waited for, and ended.
func (h host) containers() []HostStep {
	steps := []HostStep{{
		What:     fmt.Sprintf("See whether the containers have stopped, and give them 5 minutes. If the command does not answer, %s hangs: go on, and reboot.", h.runtime),
		Why:      "Their pods were deleted, and others run elsewhere by now: two of a kind that write to one volume destroy it. A kubelet that still reaches the API server stops them itself. A few that do not end within 5 minutes are ended by the reboot.",
		Commands: slices.Clone(h.list),
	}}
	if h.runtime == "CRI-O" {
		steps[0].Why += " podman does not show containers of CRI-O."
	}
	stop := HostStep{
		What:     "Stop the kubelet, and then the containers that are left.",
		Why:      "While the kubelet runs it starts again what it is still to run, static pods above all. What is stopped in order writes out what it holds; what the reboot ends may not.",
		Commands: append([]string{"systemctl stop " + h.kubelet}, h.stop...),
	}
	if len(h.stop) == 0 {
		stop.What = "Stop the kubelet. The containers that are left are ended by the reboot."
	}
	if len(h.static) > 0 {
		stop.What += fmt.Sprintf(" Static pods are among them: %s.", some(h.static))
		stop.Why += " Where etcd is one of them, see first that the other members are healthy: without a majority of them the cluster stands still."
	}
	return append(steps, stop)
}

// mend names the causes that a reboot leaves as they are.
func (h host) mend() (HostStep, bool) {
	stays := survives()
	var titles, commands []string
	for _, f := range h.found {
		if !slices.Contains(stays, f.Slug) {
			continue
		}
		if title := cmp.Or(f.Title, f.Slug); !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
		if command := "kubectl stuck explain " + quote(string(f.Code)); f.Code != "" && !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	if len(titles) == 0 {
		return HostStep{}, false
	}
	return HostStep{
		What: "Mend what a reboot does not: " + strings.Join(titles, "; ") + ".", Commands: commands,
		Why: "It was found at this node, and is there again when the machine is back; then the pods hang again.",
	}, true
}

// talos are the steps for a machine that is only reached through its own API.
func (h host) talos() []HostStep {
	ctl := "talosctl -n " + h.address + " "
	steps := []HostStep{h.reach(), {
		What:     "Read what the kubelet, the runtime and the kernel wrote, before the reboot takes it away.",
		Why:      "It holds the cause, and a Talos machine keeps part of it in memory only. `kubectl stuck scan-logs` names causes in it.",
		Commands: []string{ctl + "logs kubelet > kubelet.log", ctl + "logs cri > cri.log", ctl + "dmesg > kernel.log", "kubectl stuck scan-logs kubelet.log cri.log kernel.log"},
	}, {
		What:     "See whether the containers have stopped, and give them 5 minutes. If the command does not answer, the runtime hangs: go on, and reboot.",
		Why:      "Their pods were deleted, and others run elsewhere by now: two of a kind that write to one volume destroy it. What does not end within 5 minutes is ended by the reboot.",
		Commands: []string{ctl + "containers -k"},
	}, {
		What:     "See whether mounts and processes hang.",
		Why:      "A dead NFS server or disk holds every process that touches it; only its return, or a reboot, ends that.",
		Commands: []string{ctl + "mounts", ctl + "processes"},
	}}
	if len(h.static) > 0 {
		steps = append(steps, HostStep{
			What: fmt.Sprintf("See that the other members of etcd are healthy: static pods run here: %s.", some(h.static)), Commands: []string{"talosctl -n OTHER-MEMBER etcd status"},
			Why: "The reboot takes a member of the control plane away for some minutes, and without a majority of them the cluster stands still.",
		})
	}
	if s, ok := h.mend(); ok {
		steps = append(steps, s)
	}
	return append(steps, HostStep{
		What: "Reboot the machine. Where it does not go down, the second command does not wait for services; where that fails too, switch it off and on.", Commands: []string{ctl + "reboot", ctl + "reboot --mode force"},
		Why: "It ends what cannot be ended otherwise. No container of the old node runs after it.",
	}, HostStep{
		What: "See that the kubelet runs.", Commands: []string{ctl + "service kubelet", ctl + "service kubelet restart"},
		Why: "Talos starts it at boot. " + registersOnce,
	}, HostStep{
		What: "See that the machine came back whole: its services are healthy, and its mounts are there.", Commands: []string{ctl + "service", ctl + "mounts"},
		Why: "What hung before hangs again where its mount did not come back or its server is still away.",
	})
}

// windows are the steps for PowerShell.
func (h host) windows() []HostStep {
	service := "containerd"
	list, stop := []string{"crictl ps"}, "crictl stop --timeout 10 $(crictl ps -q)"
	if h.runtime == "docker" {
		service, list, stop = "docker", []string{"docker ps"}, "docker stop -t 10 $(docker ps -q)"
	}
	steps := []HostStep{h.reach(), {
		What:     "Read what the kubelet and the system wrote. The kubelet's log is where its service was told to write it: often C:\\k or C:\\var\\log\\kubelet.",
		Why:      "It holds the cause. `kubectl stuck scan-logs` names causes in it.",
		Commands: []string{`Get-ChildItem C:\k\*.log, C:\var\log\kubelet\*`, `Get-Content C:\k\kubelet.log -Tail 5000 | Out-File -Encoding utf8 node.log`, "Get-WinEvent -LogName System -MaxEvents 200", "kubectl stuck scan-logs node.log"},
	}, {
		What:     "See whether the containers have stopped, and give them 5 minutes. If the command does not answer, the runtime hangs: go on, and reboot.",
		Why:      "Their pods were deleted, and others run elsewhere by now: two of a kind that write to one volume destroy it. What does not end within 5 minutes is ended by the reboot.",
		Commands: append(list, "Get-Service kubelet, "+service),
	}, {
		What: "Stop the kubelet, and then the containers that are left.", Commands: []string{"Stop-Service kubelet", stop},
		Why: "While the kubelet runs it starts again what it is still to run. What is stopped in order writes out what it holds.",
	}, {
		What: "See whether disks and shares answer.", Commands: []string{"Get-Volume", "Get-SmbGlobalMapping"},
		Why: "A share whose server is away holds every process that touches it.",
	}}
	if s, ok := h.mend(); ok {
		steps = append(steps, s)
	}
	return append(steps, HostStep{
		What: "Reboot the machine. Where it does not go down, switch it off and on.", Commands: []string{"Restart-Computer -Force"},
		Why: "It ends what cannot be ended otherwise. No container of the old node runs after it.",
	}, HostStep{
		What: "See that the kubelet runs, and that it starts by itself at boot.", Commands: []string{"Set-Service kubelet -StartupType Automatic", "Start-Service kubelet", "Get-Service kubelet, " + service},
		Why: registersOnce,
	}, HostStep{
		What: "See that the machine came back whole: its disks and shares are there, and the runtime answers.", Commands: append([]string{"Get-Volume", "Get-SmbGlobalMapping"}, list...),
		Why: "What hung before hangs again where its share did not come back.",
	})
}
