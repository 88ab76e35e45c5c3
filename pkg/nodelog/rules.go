package nodelog

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// rule is one LogMatch of one cause, ready to be used. Its parts are in lower case.
type rule struct {
	cause          int // in Scanner.causes
	all, any, none []string
	pattern        *regexp.Regexp
	confidence     diagnose.Confidence
	alternatives   []string
	decide         string
}

func newRule(cause int, m diagnose.LogMatch) (rule, error) {
	r := rule{
		cause: cause, all: lowerAll(m.All), any: lowerAll(m.Any), none: lowerAll(m.None),
		confidence: m.Confidence, alternatives: m.Alternatives, decide: m.Decide,
	}
	if r.confidence == "" {
		r.confidence = diagnose.Likely
	}
	if m.Pattern != "" {
		re, err := regexp.Compile("(?i)" + m.Pattern) // as the parts, whatever the case
		if err != nil {
			return r, fmt.Errorf("pattern: %w", err)
		}
		r.pattern = re
	}
	return r, nil
}

func lowerAll(parts []string) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = string(lowered(nil, []byte(p)))
	}
	return out
}

// literals are what lines are searched for: where none of them is, the rule does not match. That is the rarest part of All, or each of Any.
func (r rule) literals(common func(hash uint32) int) ([]string, error) {
	var why error
	if best, err := rarest(r.all, common); err == nil {
		return []string{best}, nil
	} else if len(r.all) > 0 {
		why = err
	}
	if len(r.any) == 0 {
		if why == nil {
			why = errors.New("it has no part that must be there")
		}
		return nil, why
	}
	var out []string
	for _, part := range r.any {
		best, err := rarest([]string{part}, common)
		if err != nil {
			return nil, err
		}
		out = append(out, best)
	}
	return out, nil
}

// rarest is the part, or rather the stretch of one that no format escapes, that text which says nothing is the least likely to have.
func rarest(parts []string, common func(hash uint32) int) (string, error) {
	best, least := "", math.MaxFloat64
	for _, p := range parts {
		for _, s := range strings.FieldsFunc(p, escapable) {
			if len(s) < shortest || strings.Contains(everyday(), s) {
				continue
			}
			sum := 0
			for at := 0; at+gram <= len(s); at++ {
				sum += common(hashOf(folded([]byte(s[at:]))))
			}
			n := float64(len(s) - gram + 1)
			if score := (1 + float64(sum)/n) / min(n, 16); score < least {
				best, least = s, score
			}
		}
	}
	if best == "" {
		return "", fmt.Errorf("%q has nothing rare to search for: at least %d bytes that nothing escapes, and that are not in what every node writes", parts, shortest)
	}
	return best, nil
}

// escapable tells the characters that some format writes in another way: quoted, in JSON, or as bytes.
func escapable(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("\"\\<>&'/", r) }

// commonness counts the grams of what every node writes.
func commonness() func(hash uint32) int {
	text := everyday()
	counts := make([]int, 1<<hashBits)
	for at := 0; at+gram <= len(text); at++ {
		counts[hashOf(folded([]byte(text[at:])))]++
	}
	return func(h uint32) int { return counts[h] }
}

// everyday is what the programs of a healthy node write all day, in lower case: kubelet, containerd, dockerd, CRI-O, systemd, the kernel, sshd, cron.
// Literals are searched for by what is not in it, and a literal that is in it is none to search for.
func everyday() string {
	return `i0322 15:23:22.123456    1234 reconciler_common.go:245] "operationexecutor.verifycontrollerattachedvolume started for volume \"kube-api-access-x7v2k\" (uniquename: \"kubernetes.io/projected/0f3a-kube-api-access\") pod \"web-5d9f\" (uid: \"0f3a\") " pod="shop/web-5d9f"
i0322 15:23:22.123456    1234 operation_generator.go:637] "mountvolume.setup succeeded for volume \"config\" (uniquename: \"kubernetes.io/configmap/0f3a-config\") pod \"web-5d9f\" (uid: \"0f3a\") " pod="shop/web-5d9f"
i0322 15:23:22.123456    1234 kubelet.go:2421] "syncloop add" source="api" pods=["shop/web-5d9f"]
i0322 15:23:22.123456    1234 kubelet.go:2453] "syncloop (pleg): event for pod" pod="shop/web-5d9f" event={"id":"0f3a","type":"containerstarted","data":"9c1d"}
i0322 15:23:22.123456    1234 kubelet.go:2533] "syncloop (probe)" probe="readiness" status="ready" pod="shop/web-5d9f"
i0322 15:23:22.123456    1234 pod_startup_latency_tracker.go:104] "observed pod startup duration" pod="shop/web-5d9f" podstartsloduration=2.1 firststartedpulling="0001-01-01 00:00:00 +0000 utc"
i0322 15:23:22.123456    1234 topology_manager.go:215] "topology admit handler" poduid="0f3a" podnamespace="shop" podname="web-5d9f"
i0322 15:23:22.123456    1234 scope.go:117] "removecontainer" containerid="9c1d"
e0322 15:23:22.123456    1234 kubelet.go:2885] "error" err="failed: " node="worker-3"
w0322 15:23:22.123456    1234 prober.go:107] "probe failed" probetype="liveness" pod="shop/web-5d9f" containername="web" output="http probe failed with statuscode: 503"
mar 22 15:23:22 worker-3 kubelet[1234]: i0322 15:23:22.123456    1234 server.go:1234] "started kubelet" volume plugin containers pods images node status
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="stopcontainer for \"9c1d\" with timeout 30 (s)"
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="createcontainer within sandbox \"77aa\" for container &containermetadata{name:web,attempt:0,}"
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="runpodsandbox for &podsandboxmetadata{name:web-5d9f,uid:0f3a,namespace:shop,attempt:0,} returns sandbox id \"77aa\""
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="pullimage \"registry.example/shop/web:1.4\" returns image reference \"sha256:1f\""
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="shim disconnected" id=9c1d namespace=k8s.io
mar 22 15:23:22 worker-3 containerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="cleaning up dead shim" namespace=k8s.io error="<nil>" level=warning level=error
mar 22 15:23:22 worker-3 dockerd[987]: time="2026-03-22t15:23:22.123456789z" level=info msg="ignoring event" container=9c1d module=libcontainerd topic=/tasks/delete type="*events.taskdelete"
mar 22 15:23:22 worker-3 crio[987]: time="2026-03-22 15:23:22.123456789z" level=info msg="created container 9c1d: shop/web-5d9f/web" id=5f name=/runtime.v1.runtimeservice/createcontainer
mar 22 15:23:22 worker-3 systemd[1]: started libcontainer container 9c1d.
mar 22 15:23:22 worker-3 systemd[1]: run-containerd-io.containerd.runtime.v2.task-k8s.io-9c1d-rootfs.mount: deactivated successfully.
mar 22 15:23:22 worker-3 systemd[1]: cri-containerd-9c1d.scope: consumed 1.204s cpu time.
mar 22 15:23:22 worker-3 systemd-networkd[700]: cali1f2e: link up, gained carrier, gained ipv6ll
mar 22 15:23:22 worker-3 systemd-logind[701]: new session 12 of user root. session 12 logged out. waiting for processes to exit. removed session 12.
mar 22 15:23:22 worker-3 sshd[4711]: accepted publickey for admin from 10.0.0.7 port 50122 ssh2: ed25519
mar 22 15:23:22 worker-3 cron[4712]: (root) cmd (command -v debian-sa1 > /dev/null && debian-sa1 1 1)
mar 22 15:23:22 worker-3 chronyd[702]: selected source 10.0.0.1 (time.example)
mar 22 15:23:22 worker-3 kernel: [123456.789012] ipv6: addrconf(netdev_change): eth0: link becomes ready
mar 22 15:23:22 worker-3 kernel: [123456.789012] cni0: port 3(veth1f2e) entered forwarding state; device veth1f2e entered promiscuous mode; entered blocking state; entered disabled state
mar 22 15:23:22 worker-3 kernel: [123456.789012] audit: type=1400 audit(1711120000.123:45): apparmor="status" operation="profile_load" profile="unconfined" name="cri-containerd.apparmor.d"
mar 22 15:23:22 worker-3 kernel: [123456.789012] memory: usage 1048576kb, limit 1048576kb, failcnt 12 anon file slab cgroup out of process task
{"__realtime_timestamp":"1711120000123456","_systemd_unit":"kubelet.service","syslog_identifier":"kubelet","_hostname":"worker-3","_pid":"1234","_comm":"kubelet","_exe":"/usr/bin/kubelet","_transport":"stdout","priority":"6","message":"a","_boot_id":"5f","_machine_id":"1f","__cursor":"s=","__monotonic_timestamp":"1","_uid":"0","_gid":"0","_cap_effective":"1ffffffffff","_selinux_context":"unconfined","_systemd_slice":"system.slice","_systemd_cgroup":"/system.slice/kubelet.service","_systemd_invocation_id":"0f","_stream_id":"1"}
{"ts":1711120000123.456,"caller":"kubelet/kubelet.go:2421","msg":"syncloop add","v":2,"source":"api","pods":[{"name":"web-5d9f","namespace":"shop"}]}
2026-03-22t15:23:22.123456789z stdout f 10.0.0.7 - - [22/mar/2026:15:23:22 +0000] "get /healthz http/1.1" 200 2 "-" "kube-probe/1.37"
`
}
