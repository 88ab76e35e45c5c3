package causes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/nodelog"
)

// healthyLog is what a node says that is well, while it starts, works, is updated and is shut down: also the errors that go with that.
const healthyLog = `Mar  1 08:00:01 worker-1 kernel: [    0.000000] Linux version 6.8.0-45-generic (build@host) (gcc 13.2.0) #45-Ubuntu SMP PREEMPT_DYNAMIC
Mar  1 08:00:01 worker-1 kernel: [    0.412000] rcu: RCU CPU self-detected stall timeout set to 60000
Mar  1 08:00:01 worker-1 kernel: [    0.512000] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
Mar  1 08:00:01 worker-1 kernel: [    2.100000] blk_update_request: I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0
Mar  1 08:00:01 worker-1 kernel: [    2.100001] Buffer I/O error on dev sr0, logical block 0, async page read
Mar  1 08:00:01 worker-1 kernel: [    2.300000] EXT4-fs (sda1): mounted filesystem 1f2e r/w with ordered data mode. Quota mode: none.
Mar  1 08:00:01 worker-1 kernel: [    2.400000] EXT4-fs (sda1): recovery complete
Mar  1 08:00:01 worker-1 kernel: [    2.500000] XFS (dm-0): Ending clean mount
Mar  1 08:00:01 worker-1 kernel: [    3.000000] intel_rapl_common: failed to register: Device or resource busy
Mar  1 08:00:02 worker-1 systemd-journald[200]: File /var/log/journal/1f/system.journal corrupted or uncleanly shut down, renaming and replacing.
Mar  1 08:00:02 worker-1 systemd-modules-load[300]: Failed to insert module 'kvm_amd': Device or resource busy
Mar  1 08:00:02 worker-1 modprobe[302]: FATAL: Module efi_pstore not found in directory /lib/modules/6.8.0-45-generic
Mar  1 08:00:02 worker-1 systemd[1]: Finished systemd-fsck@dev-sda15.service - File System Check on /dev/sda15.
Mar  1 08:00:02 worker-1 systemd[1]: Failed to propagate agent release message: Transport endpoint is not connected
Mar  1 08:00:03 worker-1 chronyd[500]: System clock wrong by 1.823100 seconds
Mar  1 08:00:03 worker-1 chronyd[500]: System clock was stepped by 1.823100 seconds
Mar  1 08:00:03 worker-1 chronyd[500]: Selected source 10.0.0.1 (time.example)
Mar  1 08:00:03 worker-1 sshd[901]: getpeername failed: Transport endpoint is not connected
Mar  1 08:00:03 worker-1 sshd[902]: Connection reset by 10.0.0.9 port 40122 [preauth]
Mar  1 08:00:03 worker-1 snapd[813]: snap "core22" has "refresh-snap" change; auto-refresh is already in progress
Mar  1 08:00:03 worker-1 NetworkManager[814]: <info>  [1700000000.1] dhcp4 (eth0): activation is already in progress
Mar  1 08:00:04 worker-1 containerd[600]: time="2026-03-01T08:00:04Z" level=info msg="starting containerd" revision=1f2e version=2.1.0
Mar  1 08:00:04 worker-1 containerd[600]: time="2026-03-01T08:00:04Z" level=info msg="skip loading plugin" error="could not find mkfs.erofs: exec: \"mkfs.erofs\": executable file not found in $PATH: skip plugin" id=io.containerd.differ.v1.erofs
Mar  1 08:00:04 worker-1 containerd[600]: time="2026-03-01T08:00:04Z" level=info msg="skip loading plugin \"io.containerd.snapshotter.v1.aufs\"..." error="aufs is not supported (modprobe aufs failed: exit status 1 \"modprobe: FATAL: Module aufs not found in directory /lib/modules/6.8.0-45-generic\"): skip plugin"
Mar  1 08:00:04 worker-1 containerd[600]: time="2026-03-01T08:00:04Z" level=warning msg="failed to load plugin io.containerd.snapshotter.v1.devmapper" error="devmapper not configured"
Mar  1 08:00:04 worker-1 containerd[600]: time="2026-03-01T08:00:04Z" level=info msg="containerd successfully booted in 0.112s"
Mar  1 08:00:05 worker-1 dockerd[601]: time="2026-03-01T08:00:05Z" level=warning msg="Running modprobe nf_nat failed with message: modprobe: FATAL: Module nf_nat not found, error: exit status 1"
Mar  1 08:00:06 worker-1 systemd[1]: Started kubelet.service - kubelet: The Kubernetes Node Agent.
Mar  1 08:00:06 worker-1 kubelet[700]: E0301 08:00:06.000000     700 kubelet.go:2327] "Skipping pod synchronization" err="[container runtime status check may not have completed yet, PLEG is not healthy: pleg has yet to be successful]"
Mar  1 08:00:06 worker-1 kubelet[700]: E0301 08:00:06.000000     700 kubelet_node_status.go:459] "Error getting node" err="node \"worker-1\" not found"
Mar  1 08:00:06 worker-1 kubelet[700]: E0301 08:00:06.000000     700 kubelet.go:1462] "Image garbage collection failed once. Stats initialization may not have completed yet" err="invalid capacity 0 on image filesystem"
Mar  1 08:00:06 worker-1 kubelet[700]: I0301 08:00:06.000000     700 kubelet_node_status.go:112] "Node was previously registered" node="worker-1"
Mar  1 08:00:07 worker-1 kubelet[700]: E0301 08:00:07.000000     700 projected.go:292] Couldn't get configMap shop/kube-root-ca.crt: object "shop"/"kube-root-ca.crt" not registered
Mar  1 08:00:07 worker-1 kubelet[700]: E0301 08:00:07.000000     700 configmap.go:193] Couldn't get configMap shop/app: failed to sync configmap cache: timed out waiting for the condition
Mar  1 08:00:07 worker-1 kubelet[700]: I0301 08:00:07.000000     700 kubelet_pods.go:1433] "Clean up containers for orphaned pod we had not seen before" podUID="0f3a"
Mar  1 08:00:07 worker-1 kubelet[700]: I0301 08:00:07.000000     700 kubelet_volumes.go:163] "Cleaned up orphaned pod volumes dir" podUID="0f3a" path="/var/lib/kubelet/pods/0f3a/volumes"
Mar  1 08:00:07 worker-1 kubelet[700]: I0301 08:00:07.000000     700 log.go:245] http: TLS handshake error from 10.0.0.9:44444: EOF
Mar  1 08:00:08 worker-1 kubelet[700]: I0301 08:00:08.000000     700 kubelet.go:2429] "SyncLoop DELETE" source="api" pods=["shop/cart-1"]
Mar  1 08:00:08 worker-1 kubelet[700]: I0301 08:00:08.000000     700 kuberuntime_container.go:808] "Killing container with a grace period" pod="shop/cart-1" podUID="0f3a" containerName="app" containerID="containerd://9c1d" gracePeriod=30
Mar  1 08:00:08 worker-1 containerd[600]: time="2026-03-01T08:00:08Z" level=info msg="StopContainer for \"9c1d\" with timeout 30 (s)"
Mar  1 08:00:08 worker-1 containerd[600]: time="2026-03-01T08:00:08Z" level=info msg="shim disconnected" id=9c1d namespace=k8s.io
Mar  1 08:00:08 worker-1 containerd[600]: time="2026-03-01T08:00:08Z" level=warning msg="cleaning up after shim disconnected" id=9c1d namespace=k8s.io
Mar  1 08:00:08 worker-1 containerd[600]: time="2026-03-01T08:00:08Z" level=error msg="ContainerStatus for \"9c1d\" failed" error="rpc error: code = NotFound desc = an error occurred when try to find container \"9c1d\": not found"
Mar  1 08:00:08 worker-1 kubelet[700]: E0301 08:00:08.000000     700 log.go:32] "ContainerStatus from runtime service failed" err="rpc error: code = NotFound desc = an error occurred when try to find container \"9c1d\": not found" containerID="9c1d"
Mar  1 08:00:08 worker-1 kubelet[700]: E0301 08:00:08.000000     700 prober.go:104] "Probe errored" err="rpc error: code = Unknown desc = failed to exec in container: failed to start exec \"e2\": OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown" probeType="Readiness" pod="shop/cart-1"
Mar  1 08:00:08 worker-1 kubelet[700]: I0301 08:00:08.000000     700 prober.go:107] "Probe failed" probeType="Readiness" pod="shop/cart-2" probeResult="failure" output="HTTP probe failed with statuscode: 503"
Mar  1 08:00:08 worker-1 kubelet[700]: I0301 08:00:08.000000     700 operation_generator.go:803] UnmountVolume.TearDown succeeded for volume "kubernetes.io/projected/0f3a-token" (OuterVolumeSpecName: "token") pod "0f3a" (UID: "0f3a")
Mar  1 08:00:08 worker-1 crio[906]: time="2026-03-01 08:00:08Z" level=info msg="Stopping container: 05ea (timeout: 3600s)" id=1
Mar  1 08:00:09 worker-1 kubelet[700]: I0301 08:00:09.000000     700 image_gc_manager.go:383] "Disk usage on image filesystem is over the high threshold, trying to free bytes down to the low threshold" usage=86 highThreshold=85 amountToFree=123 lowThreshold=80
Mar  1 08:00:09 worker-1 kubelet[700]: I0301 08:00:09.000000     700 image_gc_manager.go:487] "Removing image to free bytes" imageID="sha256:1" size=1048576
Mar  1 08:00:09 worker-1 kubelet[700]: W0301 08:00:09.000000     700 logging.go:59] [core] [Channel #12 SubChannel #13] grpc: addrConn.createTransport failed to connect to {Addr: "/var/lib/kubelet/plugins_registry/disk.csi.example.com-reg.sock", ServerName: "localhost"}. Err: connection error: desc = "transport: Error while dialing: dial unix /var/lib/kubelet/plugins_registry/disk.csi.example.com-reg.sock: connect: connection refused"
Mar  1 08:00:09 worker-1 kubelet[700]: I0301 08:00:09.000000     700 csi_plugin.go:106] kubernetes.io/csi: Trying to validate a new CSI Driver with name: disk.csi.example.com endpoint: /var/lib/kubelet/plugins/disk.csi.example.com/csi.sock versions: 1.0.0
Mar  1 08:00:10 worker-1 kernel: [100.0] web invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=985
Mar  1 08:00:10 worker-1 kernel: [100.0] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-9c1d.scope,mems_allowed=0,oom_memcg=/kubepods.slice/x,task_memcg=/kubepods.slice/x,task=web,pid=4711,uid=1000
Mar  1 08:00:10 worker-1 kernel: [100.0] Memory cgroup out of memory: Killed process 4711 (web) total-vm:1812345kB, anon-rss:512345kB
Mar  1 08:00:10 worker-1 kernel: [101.0] cgroup: fork rejected by pids controller in /kubepods.slice/kubepods-pod0f3a.slice/cri-containerd-9c1d.scope
Mar  1 08:00:10 worker-1 shipper[812]: level=warn msg="cannot send batch, trying again" error="server returned HTTP status 429 Too Many Requests (429): ingestion rate limit"
Mar  1 08:00:10 worker-1 proxy[905]: stats: loops: 0 wake: 1
Mar  1 08:00:12 worker-1 systemd[1]: kubelet.service: Scheduled restart job, restart counter is at 1.
Mar  1 08:00:12 worker-1 systemd[1]: Stopped kubelet.service - kubelet: The Kubernetes Node Agent.
Mar  1 08:00:20 worker-1 systemd-shutdown[1]: Could not detach DM /dev/dm-1: Device or resource busy
Mar  1 08:00:20 worker-1 umount[811]: umount: /var/log: target is busy.
Mar  1 08:00:20 worker-1 systemd[1]: Reached target shutdown.target - System Shutdown.
`

// TestAHealthyNodeIsNotAccused reads a log that has nothing in it to be sure of. What it may show is no more than possible.
func TestAHealthyNodeIsNotAccused(t *testing.T) {
	s, err := nodelog.New(causes.All())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(healthyLog, "\n"), "\n")
	for _, line := range lines { // each by itself, for a cause is as sure as its surest line
		l, err := s.Scan(strings.NewReader(line), nodelog.Input{Name: "healthy", Now: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)})
		if err != nil || l.Lines != 1 {
			t.Fatalf("%d lines, %v: %s", l.Lines, err, line)
		}
		for _, m := range l.Matches {
			if m.Confidence != diagnose.Possible {
				t.Errorf("%s is %s by: %s", m.Slug, m.Confidence, line)
			}
		}
	}
}
