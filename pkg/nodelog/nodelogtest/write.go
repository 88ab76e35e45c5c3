package nodelogtest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Options say what log is wanted.
type Options struct {
	// Bytes is how long it is at least.
	Bytes int64
	// Hits is how many lines of a thousand are drawn from Lines, in place of lines that say nothing.
	Hits  int
	Lines []string
	Seed  uint64
}

// Write writes lines as they stand in /var/log/messages of a node: of kubelet, containerd, the kernel, systemd and others. All that it says by
// itself is what a healthy node says. It returns how many lines it wrote, and how many of those were drawn from Lines.
func Write(w io.Writer, o Options) (lines, hits int64, err error) {
	r := rand.New(rand.NewPCG(o.Seed, 1))
	out := bufio.NewWriterSize(w, 1<<20)
	at := time.Date(2026, 3, 22, 0, 0, 0, 0, time.UTC)
	for written := int64(0); written < o.Bytes; lines++ {
		at = at.Add(time.Duration(r.IntN(40)) * time.Millisecond)
		var n int
		var err error
		if o.Hits > 0 && r.IntN(1000) < o.Hits {
			hits++
			n, err = fmt.Fprintf(out, "%s %s\n", at.Format("Jan _2 15:04:05"), o.Lines[r.IntN(len(o.Lines))])
		} else {
			n, err = out.WriteString(at.Format("Jan _2 15:04:05") + " worker-3 " + everyday(r, at) + "\n")
		}
		if err != nil {
			return lines, hits, fmt.Errorf("write a log: %w", err)
		}
		written += int64(n)
	}
	if err := out.Flush(); err != nil {
		return lines, hits, fmt.Errorf("write a log: %w", err)
	}
	return lines, hits, nil
}

// everyday is one line, without time and host.
func everyday(r *rand.Rand, at time.Time) string {
	hex := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[r.IntN(16)]
		}
		return string(b)
	}
	uid := func() string { return hex(8) + "-" + hex(4) + "-" + hex(4) + "-" + hex(4) + "-" + hex(12) }
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	pod := func() string {
		return pick("web", "cart", "checkout", "payments", "search", "mailer", "ledger", "catalog-sync") + "-" + hex(9) + "-" + hex(5)
	}
	ns := pick("shop", "billing", "search", "platform", "monitoring")
	klog := func(level byte, file, format string, a ...any) string {
		return fmt.Sprintf("kubelet[1234]: %c%s    1234 %s] %s", level, at.Format("0102 15:04:05.000000"), file, fmt.Sprintf(format, a...))
	}
	containerd := func(format string, a ...any) string {
		return fmt.Sprintf("containerd[987]: time=%q level=info msg=%q", at.Format(time.RFC3339Nano), fmt.Sprintf(format, a...))
	}
	kernel := func(format string, a ...any) string {
		return fmt.Sprintf("kernel: [%12.6f] %s", float64(at.UnixMilli()%1e9)/1e3, fmt.Sprintf(format, a...))
	}
	p, u := pod(), uid()
	switch r.IntN(20) {
	case 0, 1, 2:
		return klog('I', "reconciler_common.go:245", `"operationExecutor.VerifyControllerAttachedVolume started for volume \"kube-api-access-%s\" (UniqueName: \"kubernetes.io/projected/%s-kube-api-access-%s\") pod \"%s\" (UID: \"%s\") " pod="%s/%s"`, hex(5), u, hex(5), p, u, ns, p)
	case 3, 4:
		return klog('I', "operation_generator.go:637", `"MountVolume.SetUp succeeded for volume \"config\" (UniqueName: \"kubernetes.io/configmap/%s-config\") pod \"%s\" (UID: \"%s\") " pod="%s/%s"`, u, p, u, ns, p)
	case 5:
		return klog('I', "kubelet.go:2453", `"SyncLoop (PLEG): event for pod" pod="%s/%s" event={"ID":"%s","Type":"ContainerStarted","Data":"%s"}`, ns, p, u, hex(64))
	case 6:
		return klog('I', "kubelet.go:2533", `"SyncLoop (probe)" probe="readiness" status="ready" pod="%s/%s"`, ns, p)
	case 7:
		return klog('I', "pod_startup_latency_tracker.go:104", `"Observed pod startup duration" pod="%s/%s" podStartSLOduration=%d.%s podStartE2EDuration="4.2s" podCreationTimestamp="%s"`, ns, p, r.IntN(9), hex(9), at.Format(time.RFC3339))
	case 8:
		return klog('W', "prober.go:107", `"Probe failed" probeType="Readiness" pod="%s/%s" podUID="%s" containerName="web" probeResult="failure" output="HTTP probe failed with statuscode: 503"`, ns, p, u)
	case 9:
		return klog('I', "image_gc_manager.go:391", `"Disk usage on image filesystem" usage=%d highThreshold=85 amountToFree=0 lowThreshold=80`, r.IntN(80))
	case 10:
		return containerd(`RunPodSandbox for &PodSandboxMetadata{Name:%s,Uid:%s,Namespace:%s,Attempt:0,} returns sandbox id "%s"`, p, u, ns, hex(64))
	case 11:
		return containerd(`CreateContainer within sandbox "%s" for container &ContainerMetadata{Name:web,Attempt:0,}`, hex(64))
	case 12:
		return containerd(`StartContainer for "%s" returns successfully`, hex(64))
	case 13:
		return containerd(`ImageUpdate event name:"registry.example/shop/web@sha256:%s" labels:{key:"io.cri-containerd.image" value:"managed"}`, hex(64))
	case 14:
		return "systemd[1]: run-containerd-io.containerd.runtime.v2.task-k8s.io-" + hex(64) + "-rootfs.mount: Deactivated successfully."
	case 15:
		return "systemd[1]: cri-containerd-" + hex(64) + ".scope: Consumed 1.204s CPU time."
	case 16:
		return kernel("IPv6: ADDRCONF(NETDEV_CHANGE): cali%s: link becomes ready", hex(11))
	case 17:
		return kernel("audit: type=1400 audit(%d.%03d:45): apparmor=\"STATUS\" operation=\"profile_replace\" profile=\"unconfined\" name=\"cri-containerd.apparmor.d\" pid=%d", at.Unix(), r.IntN(1000), r.IntN(30000))
	case 18:
		return fmt.Sprintf("sshd[%d]: Accepted publickey for admin from 10.0.%d.%d port %d ssh2: ED25519 SHA256:%s", r.IntN(30000), r.IntN(256), r.IntN(256), r.IntN(60000), hex(43))
	default:
		return fmt.Sprintf("kube-proxy[%d]: I%s       1 proxier.go:805] \"SyncProxyRules complete\" elapsed=\"%d.%sms\"", r.IntN(30000), at.Format("0102 15:04:05.000000"), r.IntN(90), hex(6))
	}
}
