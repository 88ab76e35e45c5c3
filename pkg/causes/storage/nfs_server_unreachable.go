package storage

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// kindNFSServer is the kind by which findings name an NFS server, so that pods of one server are one finding.
const kindNFSServer snapshot.Kind = "NFSServer"

func nfsServerUnreachable() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST307", Slug: "nfs-server-unreachable", Reach: scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The NFS server of the volume does not answer",
			Symptom: "Pods that share an NFS server hang, on several nodes: new ones ContainerCreating, deleted ones Terminating, often without any event. On those nodes df and ls hang.",
			Mechanism: "By default an NFS client waits for its server for ever, inside the kernel. Processes that touch the mount cannot be killed, the mount " +
				"cannot be unmounted, and a new mount waits. In time the kubelet itself can hang on it, and a healthy node turns NotReady.",
			Confirm: []string{
				"kubectl get pv -o wide",
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl debug node/{node} -it --image=busybox -- nc -zvw 3 {subject} 2049",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-nfs-server", Risk: diagnose.RiskNone, Text: "Bring NFS server {subject} or the way to it back. Everything goes on by itself within minutes.", Command: "kubectl debug node/{node} -it --image=busybox -- nc -zvw 3 {subject} 2049"},
				{ID: "unmount-on-node", Risk: diagnose.RiskHigh, Text: "If the server is gone for good: on each node, umount -f the mounts of {subject}, then umount -l. What was not written yet is lost."},
				{ID: "drain-and-reboot", Risk: diagnose.RiskHigh, Text: "Where that hangs too: reboot the node. Unwritten data of these pods is lost.", Command: "kubectl cordon {node}"},
				{ID: "force-delete-pod", Risk: diagnose.RiskDataLoss, Text: "Only takes the pod out of the API: processes and mount stay on the node, can write when the server returns, and can block the kubelet.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=0 --force"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/volumes/#nfs",
				"https://github.com/kubernetes/kubernetes/issues/90593",
				"linux: nfs(5), options hard and soft",
			},
		},
		Cluster: findDeadServers,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"nfs: server", "not responding"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"lockd: server", "not responding"}}},
			{Text: diagnose.Text{All: []string{"not responding, still trying"}, None: []string{"nfs: server", "lockd: server"}}},
			{Text: clearlyNoServer},
			{Text: diagnose.Text{All: []string{"-t nfs"}, Any: []string{"Connection timed out", "No route to host", "Connection refused", "Network is unreachable", "Host is down", "Operation timed out", "DeadlineExceeded"}}},
		},
	}
}

// noServer is what mount.nfs and the CSI drivers around it say of a server that cannot be reached.
var noServer = diagnose.Text{
	Any:  []string{"connection timed out", "no route to host", "connection refused", "network is unreachable", "rpc: timed out", "not responding", "host is down", "failed to resolve server", "context deadline exceeded", "DeadlineExceeded", "timed out waiting for the condition", "timeout expired waiting for volumes", "mount.nfs: mount system call failed", "operation timed out"},
	None: []string{"access denied", "no such file or directory", "permission denied", "helper program", "registered CSI drivers", "not found", "authorization"},
}

// clearlyNoServer are the wordings of mount.nfs and of mount.efs that leave no doubt.
var clearlyNoServer = diagnose.Text{
	Any: []string{
		"mount.nfs: connection timed out", "mount.nfs: no route to host", "mount.nfs: connection refused", "mount.nfs: network is unreachable", "mount.nfs: failed to resolve server",
		"mount.nfs: host is down", "mount.nfs4: connection timed out", "mount.nfs4: no route to host", "mount.nfs4: connection refused", "mount.nfs4: network is unreachable",
		"mount.nfs4: failed to resolve server", "mount.nfs4: host is down", "mount.nfs: mount(2): connection timed out", "mount.nfs: portmap query failed", "mount.nfs: rpc: timed out", "mount.nfs4: rpc: timed out",
		"failed to resolve \"fs-", "mount.nfs: operation timed out", "mount.nfs: resource temporarily unavailable", "mount.nfs4: mount system call failed",
		"failed due to timeout after", // mount.efs, which tries three times
	},
}

// nfsTarget finds the server in the command that the kubelet or a driver quotes with the error of mount ("-t nfs -o vers=4 SERVER:/path /var/lib/…"), or
// in mount.nfs's own words.
var nfsTarget = regexp.MustCompile(`(?:-t (?:nfs4?|efs)\s(?:[^:]*\s)?|Failed to resolve server )([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):`)

// byWords finds the NFS server of a pod in the words of a mount that gets no answer, where its volumes do not name one.
func byWords(s *snapshot.Snapshot, p stuck.Pod) string {
	if !mounting(p) {
		return ""
	}
	ev := diagnose.Said(s, p, clearlyNoServer)
	if len(ev) == 0 {
		ev = diagnose.Said(s, p, diagnose.Text{All: []string{"-t nfs"}, Any: noServer.Any, None: noServer.None})
	}
	for i := len(ev) - 1; i >= 0; i-- {
		if m := nfsTarget.FindStringSubmatch(ev[i].Value); m != nil {
			return strings.Trim(m[1], "[]")
		}
	}
	if len(ev) > 0 {
		return "unknown"
	}
	return ""
}

// hungOn gathers the stuck pods of one server.
type hungOn struct {
	pods     []stuck.Pod
	nodes    map[string]bool
	owners   map[string]bool
	since    time.Time
	up, down int
	text     []diagnose.Evidence // of events that speak of a server out of reach
	clear    bool
	unheard  bool // events, or the state of a node, could not be read
}

func findDeadServers(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	servers := map[string]*hungOn{}
	for _, g := range r.Groups {
		for _, p := range g.Stuck {
			hosts := nfsHosts(s, p)
			if len(hosts) == 0 {
				if h := byWords(s, p); h != "" {
					hosts = []string{h}
				}
			}
			for _, host := range hosts {
				h := servers[host]
				if h == nil {
					h = &hungOn{nodes: map[string]bool{}, owners: map[string]bool{}}
				}
				if h.take(s, p) {
					servers[host] = h
				}
			}
		}
	}
	started := startedPerServer(s)
	var out []diagnose.Finding
	for host, h := range servers {
		if slices.ContainsFunc(started[host], func(t time.Time) bool { return t.After(h.since) }) && !h.clear {
			continue // others mounted it since
		}
		out = append(out, h.finding(s, host))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Subject.Name < out[j].Subject.Name })
	return out
}

// nfsHosts lists the NFS servers behind a pod, each once.
func nfsHosts(s *snapshot.Snapshot, p stuck.Pod) []string {
	var out []string
	for _, v := range volume.Of(s, p.Object) {
		if h := v.NFS(); h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// take adds the pod where it hangs as pods of a dead server do: it is in silence, or what is said is about the server.
func (h *hungOn) take(s *snapshot.Snapshot, p stuck.Pod) bool {
	if !mounting(p) && !ending(p) && !cleaning(p) || unwell(s, p.Node) {
		return false
	}
	ev := diagnose.Said(s, p, noServer, "FailedMount", "FailedKillPod", "FailedMapVolume", "FailedSync", "")
	if len(ev) == 0 {
		ev = diagnose.Said(s, p, clearlyNoServer)
	}
	heard := diagnose.Heard(s, p.Ref.Namespace)
	if len(ev) == 0 && (heard && !diagnose.Silent(s, p) || spoken(s, p)) {
		return false
	}
	h.unheard = h.unheard || len(ev) == 0 && (!heard || !ready(s, p.Node))
	if mounting(p) {
		h.up++
	} else {
		h.down++
	}
	h.pods = append(h.pods, p)
	h.nodes[p.Node] = true
	h.owners[p.OwnerOrSelf().String()] = true
	if h.since.IsZero() || p.Since.Before(h.since) {
		h.since = p.Since
	}
	h.text = append(h.text, ev...)
	h.clear = h.clear || len(diagnose.Said(s, p, clearlyNoServer)) > 0
	return true
}

// spoken tells whether a mount of the pod was answered with something else, also where not all events could be read.
func spoken(s *snapshot.Snapshot, p stuck.Pod) bool {
	return mounting(p) && len(diagnose.Said(s, p, diagnose.Text{}, mountReasons()...)) > 0
}

func (h *hungOn) finding(s *snapshot.Snapshot, host string) diagnose.Finding {
	f := diagnose.Finding{
		Subject: snapshot.Ref{Kind: kindNFSServer, Name: host}, Confidence: diagnose.Possible, Evidence: h.text,
		Message: fmt.Sprintf("%s hang on %s with NFS server %s in common, since %s (%d starting, %d ending).",
			count(len(h.pods), "pod"), count(len(h.nodes), "node"), host, scope.Ago(s.Now().Sub(h.since)), h.up, h.down),
		Alternatives: []string{"hung-fs-mount", "d-state-process"},
		Decide:       "Whether the server answers from a node: nc -zvw 3 {subject} 2049, and whether the kernel log there says \"nfs: server {subject} not responding\".",
	}
	if len(h.pods) == 1 {
		f.Message = fmt.Sprintf("Pod %s/%s mounts NFS server %s and hangs as with a server that does not answer.", h.pods[0].Ref.Namespace, h.pods[0].Ref.Name, host)
	}
	switch {
	case h.clear && len(h.nodes) >= 2:
		f.Confidence, f.Alternatives, f.Decide = diagnose.Fresh(s, diagnose.Certain, h.text), nil, ""
	case h.unheard && !h.clear:
		f.Message += " What was said of them, or whether their nodes are well, could not be read."
	case h.clear, len(h.text) > 0 && len(h.nodes) >= 2, len(h.nodes) >= 2 && len(h.owners) >= 2, h.up > 0 && h.down > 0 && len(h.owners) >= 2:
		f.Confidence = diagnose.Likely
	case len(h.pods) == 1:
		f.Alternatives = []string{"d-state-process", "hung-fs-mount", "nfs-stale-file-handle", "runtime-hung"}
	}
	if h.clear {
		f.Message += " Mounting it fails for want of an answer."
		f.Alternatives, f.Decide = nil, ""
		if len(h.nodes) < 2 {
			f.Alternatives = []string{"nfs-server-deleted-before-client"}
			f.Decide = "Whether other nodes reach {subject}: if they do, it is the network of this node."
		}
	}
	for _, p := range h.pods {
		f.Explains = append(f.Explains, p.Ref)
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "spec.volumes", Value: strings.Join([]string{"NFS " + host, "node " + p.Node, string(p.State)}, ", ")})
	}
	return f
}

// startedPerServer tells when containers of pods that are well started, by the NFS server that they mount.
func startedPerServer(s *snapshot.Snapshot) map[string][]time.Time {
	out := map[string][]time.Time{}
	for _, p := range s.Pods() {
		if p.DeletionTimestamp != nil || snapshot.IsTerminal(p) {
			continue
		}
		for i := range p.Status.ContainerStatuses {
			r := p.Status.ContainerStatuses[i].State.Running
			if r == nil {
				continue
			}
			for _, host := range nfsHosts(s, stuck.Pod{Object: p}) {
				out[host] = append(out[host], r.StartedAt.Time)
			}
		}
	}
	return out
}
