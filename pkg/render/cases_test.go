package render_test

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// taken is when all pictures of the tests were taken.
func taken() time.Time { return time.Date(2026, 3, 22, 10, 14, 22, 0, time.UTC) }

func ago(d time.Duration) time.Time { return taken().Add(-d) }

func at(t time.Time) *time.Time { return &t }

// cases are the reports that the golden files show.
func cases() map[string]*report.Report {
	return map[string]*report.Report{
		"processes":    outOfProcesses(),
		"nfs":          deadNFS(),
		"undecided":    undecided(),
		"unscheduled":  unscheduled(),
		"namespace":    namespaceOnly(),
		"nothing":      nothing(),
		"without-pods": withoutPods(),
		"storm":        storm(),
		"widechars":    wideChars(),
	}
}

func base(r report.Report) *report.Report {
	r.APIVersion, r.Kind = report.APIVersion, report.Kind
	r.TakenAt = taken()
	if r.Origin == (snapshot.Origin{}) {
		r.Origin = snapshot.Origin{Context: "prod", Server: "https://10.0.0.1:6443", Version: "v1.37.2", Clock: "API server"}
	}
	return &r
}

func ref(kind snapshot.Kind, namespace, name string) snapshot.Ref {
	return snapshot.Ref{Kind: kind, Namespace: namespace, Name: name}
}

// starting is a pod that hangs on its way up.
func starting(namespace, name, node string, state stuck.State, d time.Duration, owner snapshot.Ref) report.Pod {
	return report.Pod{
		Namespace: namespace, Name: name, UID: uid(namespace, name), Node: node, State: state, Status: string(state),
		Since: ago(d), StuckForSeconds: int64(d.Seconds()), ThresholdSeconds: 120, Owner: &owner,
	}
}

// ending is a pod that hangs in its deletion.
func ending(namespace, name, node string, stage stuck.Stage, d time.Duration, owner snapshot.Ref) report.Pod {
	p := starting(namespace, name, node, stuck.Terminating, d, owner)
	p.Stage, p.ThresholdSeconds = stage, 30
	return p
}

func uid(namespace, name string) string {
	h := uint64(14695981039346656037)
	for _, c := range []byte(namespace + "/" + name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(h>>32), h&0xffffffffffff)
}

func noProcesses() report.Finding {
	return report.Finding{
		Code: "ST201", Slug: "runtime-cannot-fork", Title: "The runtime cannot start processes",
		Subject: ref(snapshot.Node, "", "worker-7"), Reach: scope.ReachNode, Confidence: scope.Certain,
		Message: "The container runtime on node worker-7 is refused new processes (EAGAIN): the node is out of PIDs or threads, so no container can be started or stopped.",
		Evidence: []diagnose.Evidence{
			{Object: "event of pod shop/cart-6d9f7c9b8d-x2k4q", Field: "FailedCreatePodSandBox", Count: 38, Last: ago(14 * time.Second),
				Value: `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: fork/exec /usr/bin/runc: resource temporarily unavailable: unknown`},
			{Object: "event of pod shop/checkout-5b7c-qq9wz", Field: "FailedKillPod", Count: 12, Last: ago(9 * time.Minute),
				Value: `error killing pod: failed to "KillPodSandbox" with KillPodSandboxError: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"`},
			{Object: "node worker-7", Field: "status.conditions[PIDPressure]", Value: "False: KubeletHasSufficientPID: kubelet has sufficient PID available"},
		},
		Explains: []snapshot.Ref{ref(snapshot.Pod, "shop", "cart-6d9f7c9b8d-x2k4q")},
		Remedies: []report.Remedy{
			{ID: "find-the-eater", Risk: diagnose.RiskNone, Text: "Find what uses the processes: on the node, compare `ps -eLf | wc -l` with kernel.pid_max and the pids.max of the slices.", Command: "kubectl stuck node worker-7 --logs"},
			{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Restart the runtime on the node. Containers that run keep running."},
			{ID: "drain-and-delete", Risk: diagnose.RiskHigh, Text: "Move the pods away and delete the node, then reboot the machine.", Command: "kubectl stuck node worker-7 --drain-and-delete"},
		},
	}
}

// outOfProcesses is the node on which nothing starts and nothing ends, and one pod elsewhere with a matter of its own.
func outOfProcesses() *report.Report {
	deploy := func(ns, n string) snapshot.Ref { return ref(snapshot.Deployment, ns, n) }
	node := "worker-7"
	f := noProcesses()
	pods := []report.Pod{
		starting("billing", "invoice-7c8d9b5f4-2m8kx", node, stuck.ContainerCreating, 12*time.Minute, deploy("billing", "invoice")),
		starting("billing", "invoice-7c8d9b5f4-9z7wq", node, stuck.ContainerCreating, 12*time.Minute, deploy("billing", "invoice")),
		ending("monitoring", "prometheus-0", node, stuck.KillUnconfirmed, 14*time.Minute, ref(snapshot.StatefulSet, "monitoring", "prometheus")),
		starting("shop", "cart-6d9f7c9b8d-x2k4q", node, stuck.ContainerCreating, 13*time.Minute, deploy("shop", "cart")),
		starting("shop", "cart-6d9f7c9b8d-b7xkp", node, stuck.ContainerCreating, 13*time.Minute, deploy("shop", "cart")),
		starting("shop", "cart-6d9f7c9b8d-lr5tt", node, stuck.ContainerCreating, 11*time.Minute, deploy("shop", "cart")),
		ending("shop", "checkout-5b7c-qq9wz", node, stuck.KillUnconfirmed, 9*time.Minute, deploy("shop", "checkout")),
		ending("shop", "checkout-5b7c-7hj2m", node, stuck.KillUnconfirmed, 9*time.Minute, deploy("shop", "checkout")),
		ending("shop", "checkout-5b7c-pp4vn", node, stuck.KillUnconfirmed, 8*time.Minute, deploy("shop", "checkout")),
		ending("shop", "search-index-rebuild-manual-run-20260322-zzk8w", node, stuck.KillUnconfirmed, 3*time.Minute, ref(snapshot.Job, "shop", "search-index-rebuild-manual-run-20260322")),
		starting("shop", "web-0", node, stuck.ContainerCreating, 5*time.Minute, ref(snapshot.StatefulSet, "shop", "web")),
		starting("shop", "web-1", node, stuck.ContainerCreating, 5*time.Minute, ref(snapshot.StatefulSet, "shop", "web")),
	}
	for i := range pods {
		pods[i].Reach, pods[i].Confidence = scope.ReachNode, scope.Likely
		pods[i].Findings = []report.Finding{f}
	}
	fin := ending("shop", "export-27d4-8tmzn", "worker-2", stuck.FinalizersOnly, 3*time.Hour+20*time.Minute, ref(snapshot.Job, "shop", "export"))
	fin.Finalizers = []string{"backup.example.com/snapshot"}
	fin.FinalizerOwners = finalizerOwners()
	fin.Reach, fin.Confidence = scope.ReachPod, scope.Certain
	fin.Findings = []report.Finding{finalizer()}
	waiting := ending("shop", "cart-6d9f7c9b8d-old12", "worker-3", stuck.InGrace, 0, deploy("shop", "cart"))
	waiting.ClearsBy, waiting.ClearsWhy = at(taken().Add(98*time.Second)), "it is in its grace period of 2m0s, in which its preStop hook runs"
	lease := int64(6)
	facts := &report.NodeFacts{
		Exists: true, Ready: "True", ReadyReason: "KubeletReady", ReadySince: at(ago(40 * 24 * time.Hour)), LeaseAgeSeconds: &lease,
		Kubelet: "v1.37.2", Runtime: "containerd://2.1.4", Kernel: "6.8.0-60-generic", OSImage: "Ubuntu 24.04.3 LTS", Zone: "eu-1a",
	}
	why := []string{
		"12 of 31 pods are stuck, of 5 workloads in 3 namespaces, since within 12m of each other",
		"both ways at once: 7 cannot start and 5 cannot end, which one pod's own fault does not explain",
		"no other node has a stuck pod of these workloads",
	}
	return base(report.Report{
		Summary: report.Summary{StuckPods: 13, StuckNodes: 2, NodeWide: 1, Waiting: 1, Pods: 612, Nodes: 24, Complete: true},
		Groups: []report.Group{
			{
				Node: node, Reach: scope.ReachNode, Confidence: scope.Likely, Why: why,
				Total: 31, Healthy: 19, Stuck: 12, Facts: facts, Findings: []report.Finding{f}, Pods: pods, Next: "kubectl stuck node worker-7",
			},
			{
				Node: "worker-2", Reach: scope.ReachPod, Confidence: scope.Certain,
				Why:   []string{"1 of 28 pods is stuck; 2 pods became Ready on the node after it was deleted"},
				Total: 28, Healthy: 27, Stuck: 1, Facts: &report.NodeFacts{Exists: true, Ready: "True"},
				Findings: []report.Finding{finalizer()}, Pods: []report.Pod{fin}, Next: "kubectl stuck fix pod export-27d4-8tmzn -n shop",
			},
		},
		Waiting: []report.Pod{waiting},
		Nodes: []report.NodeStory{
			{
				Name: node, Reach: scope.ReachNode, Confidence: scope.Likely, Why: why, Facts: *facts, Roles: []string{"worker"},
				Total: 31, Healthy: 19, Stuck: 12, Findings: []report.Finding{f},
				Conditions: []report.NodeCondition{
					{Type: "Ready", Status: "True", Reason: "KubeletReady", Message: "kubelet is posting ready status", Since: ago(40 * 24 * time.Hour)},
					{Type: "PIDPressure", Status: "False", Reason: "KubeletHasSufficientPID", Message: "kubelet has sufficient PID available", Since: ago(40 * 24 * time.Hour)},
					{Type: "KernelDeadlock", Status: "True", Reason: "TaskHung", Message: "task runc:2215 blocked for more than 120 seconds", Since: ago(11 * time.Minute), Bad: true},
				},
				HealthyPods: []report.PodLine{
					{Namespace: "kube-system", Name: "cilium-7xk2p", Status: "Running", Owner: &snapshot.Ref{Kind: snapshot.DaemonSet, Namespace: "kube-system", Name: "cilium"}, ReadySince: at(ago(40 * 24 * time.Hour))},
					{Namespace: "shop", Name: "web-9", Status: "Running", Owner: &snapshot.Ref{Kind: snapshot.StatefulSet, Namespace: "shop", Name: "web"}, ReadySince: at(ago(26 * time.Hour))},
				},
				OtherPods: []report.PodLine{{Namespace: "shop", Name: "report-29382", Status: "Completed", Owner: &snapshot.Ref{Kind: snapshot.Job, Namespace: "shop", Name: "report-29382"}}},
				Volumes: []report.NodeVolume{
					{Name: "pvc-2f0c6f1e-6a52-4a0e-9a9e-0d6f3f4b7f11", Driver: "ebs.csi.aws.com", Attached: true, Detail: "deletion under way for 14m", Pods: []snapshot.Ref{ref(snapshot.Pod, "monitoring", "prometheus-0")}},
				},
				Budgets: []report.Budget{{Namespace: "shop", Name: "web", DisruptionsAllowed: 0, Pods: 2}},
				Events:  []report.EventLine{{Type: "Warning", Reason: "TaskHung", Message: "INFO: task runc:2215 blocked for more than 120 seconds.", Count: 4, Last: ago(2 * time.Minute)}},
				IfDeleted: []string{
					"19 healthy pods are ended as well; 18 have a controller that makes them anew, 1 is bare and is lost",
					"the other nodes have room for all of them: 14.2 of 40 CPU and 31 of 96 GiB are free",
					"labels, taints and annotations of the node are lost unless they are saved; --drain-and-delete saves them",
				},
				Next: "kubectl stuck node worker-7 --logs",
				Logs: someLogs("worker-7"),
			},
			{
				Name: "worker-2", Reach: scope.ReachPod, Confidence: scope.Certain, Why: []string{"1 of 28 pods is stuck"},
				Facts: report.NodeFacts{Exists: true, Ready: "True", LeaseAgeSeconds: &lease, Kubelet: "v1.37.2"}, Total: 28, Healthy: 27, Stuck: 1, Findings: []report.Finding{finalizer()},
			},
			{Name: "worker-3", Facts: report.NodeFacts{Exists: true, Ready: "True", LeaseAgeSeconds: &lease, Cordoned: true}, Total: 22, Healthy: 21, Waiting: 1},
		},
	})
}

func finalizer() report.Finding {
	return report.Finding{
		Code: "ST601", Slug: "finalizer-held", Title: "A finalizer keeps the object",
		Subject: ref(snapshot.Pod, "shop", "export-27d4-8tmzn"), Reach: scope.ReachPod, Confidence: scope.Certain,
		Message: "Pod shop/export-27d4-8tmzn is kept only by the finalizer backup.example.com/snapshot; nothing that looks like its controller runs in the cluster.",
		Evidence: []diagnose.Evidence{
			{Object: "pod shop/export-27d4-8tmzn", Field: "metadata.finalizers", Value: "backup.example.com/snapshot"},
			{Object: "pod shop/export-27d4-8tmzn", Field: "metadata.deletionGracePeriodSeconds", Value: "0"},
		},
		Alternatives: []string{"webhook-blocks-update"},
		Decide:       "a server-side dry-run of the removal: it fails where a webhook is in the way",
		Remedies: []report.Remedy{
			{ID: "bring-back-controller", Risk: diagnose.RiskNone, Text: "Bring back the controller of the finalizer; it knows what has to be cleaned up."},
			{ID: "remove-finalizer", Risk: diagnose.RiskHigh, Text: "Take the finalizer off. What its controller would have cleaned up stays behind.", Command: "kubectl stuck fix pod export-27d4-8tmzn -n shop --finalizers=backup.example.com/snapshot"},
		},
	}
}

// deadNFS is one server that hangs pods of three nodes.
func deadNFS() *report.Report {
	f := report.Finding{
		Code: "ST301", Slug: "nfs-dead", Title: "An NFS server does not answer",
		Subject: ref("NFSServer", "", "nfs-1.storage.example.com:/export/shared"), Reach: scope.ReachShared, Confidence: scope.Likely,
		Message: "Mounts from nfs-1.storage.example.com:/export/shared time out on 3 nodes, and unmounts hang.",
		Evidence: []diagnose.Evidence{
			{Object: "event of pod media/encoder-0", Field: "FailedMount", Count: 7, Last: ago(50 * time.Second), Value: "MountVolume.SetUp failed for volume \"pv-media\" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs nfs-1.storage.example.com:/export/shared /var/lib/kubelet/pods/0b5c8a52-3f0e-4a7b-9b7d-3a1de3b9b8aa/volumes/kubernetes.io~nfs/pv-media\nOutput: mount.nfs: Connection timed out"},
		},
	}
	g := func(node string, pods ...report.Pod) report.Group {
		for i := range pods {
			pods[i].Findings, pods[i].Reach, pods[i].Confidence = []report.Finding{f}, scope.ReachShared, scope.Likely
		}
		return report.Group{
			Node: node, Reach: scope.ReachShared, Confidence: scope.Likely, Total: 20, Healthy: 20 - len(pods), Stuck: len(pods), Pods: pods,
			Why: []string{fmt.Sprintf("all %d stuck pods use the NFS server that pods of other nodes are stuck with; the others on the node are healthy", len(pods))}, Findings: []report.Finding{f},
			Facts: &report.NodeFacts{Exists: true, Ready: "True"}, Next: "kubectl stuck node " + node,
		}
	}
	enc, lib := ref(snapshot.StatefulSet, "media", "encoder"), ref(snapshot.Deployment, "media", "library")
	return base(report.Report{
		Summary: report.Summary{StuckPods: 6, StuckNodes: 3, Shared: 3, Pods: 310, Nodes: 12, Complete: true},
		Shared: []report.Shared{{
			Kind: "NFS server", Name: "nfs-1.storage.example.com:/export/shared", Owners: 2, Healthy: 0, Nodes: []string{"node-a", "node-b", "node-c"}, Confidence: scope.Likely,
			Pods: []snapshot.Ref{ref(snapshot.Pod, "media", "encoder-0"), ref(snapshot.Pod, "media", "encoder-1"), ref(snapshot.Pod, "media", "encoder-2"), ref(snapshot.Pod, "media", "library-1"), ref(snapshot.Pod, "media", "library-2"), ref(snapshot.Pod, "media", "library-3")},
			Why:  "every stuck pod uses it, and no healthy pod does",
		}},
		Groups: []report.Group{
			g("node-a", starting("media", "encoder-0", "node-a", stuck.ContainerCreating, 21*time.Minute, enc), ending("media", "library-58b6d-2vkqz", "node-a", stuck.Cleanup, 18*time.Minute, lib)),
			g("node-b", starting("media", "encoder-1", "node-b", stuck.ContainerCreating, 21*time.Minute, enc), ending("media", "library-58b6d-8pdlt", "node-b", stuck.Cleanup, 18*time.Minute, lib)),
			g("node-c", starting("media", "encoder-2", "node-c", stuck.ContainerCreating, 21*time.Minute, enc), ending("media", "library-58b6d-zz45r", "node-c", stuck.Cleanup, 17*time.Minute, lib)),
		},
	})
}

// undecided is a pod that nothing explains, and one that would clear by itself.
func undecided() *report.Report {
	a := ending("data", "kafka-2", "node-5", stuck.KillUnconfirmed, 7*time.Minute, ref(snapshot.StatefulSet, "data", "kafka"))
	a.Reach, a.Confidence = scope.ReachUndecided, scope.Possible
	a.Unexplained = &report.Unexplained{LookedAt: []string{"3 events", "the node's conditions and lease", "2 volumes", "finalizers"}, Missing: []string{"the node's log (run with --logs)"}}
	b := starting("data", "loader-29381760-c6xjm", "node-5", stuck.ImagePullBackOff, 4*time.Minute, ref(snapshot.Job, "data", "loader-29381760"))
	b.ClearsBy, b.ClearsWhy = at(taken().Add(time.Minute+40*time.Second)), "kubelet pulls again by then (its back-off doubles from 10s to at most 5m); it clears only if that pull works"
	b.Status = "ErrImagePull"
	b.Reach, b.Confidence = scope.ReachPod, scope.Likely
	b.Findings = []report.Finding{{
		Code: "ST701", Slug: "image-not-found", Title: "The image does not exist", Subject: ref(snapshot.Pod, "data", "loader-29381760-c6xjm"),
		Reach: scope.ReachPod, Confidence: scope.Certain, Message: "The registry has no tag v2.14.0-rc9 of registry.example.com/data/loader.",
		Evidence: []diagnose.Evidence{{Object: "pod data/loader-29381760-c6xjm", Field: "status.containerStatuses[loader].state.waiting", Value: "ErrImagePull: failed to resolve reference \"registry.example.com/data/loader:v2.14.0-rc9\": not found"}},
	}}
	return base(report.Report{
		Origin:  snapshot.Origin{Path: "incident-0322.tar.gz", Clock: "recorded in the dump"},
		Summary: report.Summary{StuckPods: 2, StuckNodes: 1, Undecided: 1, Pods: 44, Nodes: 6, Complete: true},
		Groups: []report.Group{{
			Node: "node-5", Reach: scope.ReachUndecided, Confidence: scope.Possible, Total: 9, Healthy: 7, Stuck: 2,
			Why:    []string{"2 of 9 pods are stuck, of 2 workloads, each for another reason", "no pod became Ready or ended on the node since 10:05:00"},
			Decide: "whether the node can still start and stop a pod: `kubectl stuck node node-5 --probe` tries with one of its own",
			Facts:  &report.NodeFacts{Exists: true, Ready: "True"}, Pods: []report.Pod{a, b}, Next: "kubectl stuck node node-5 --probe",
		}},
		Nodes: []report.NodeStory{{
			Name: "node-5", Reach: scope.ReachUndecided, Confidence: scope.Possible, Why: []string{"2 of 9 pods are stuck, of 2 workloads, each for another reason"},
			Decide: "whether the node can still start and stop a pod: `kubectl stuck node node-5 --probe` tries with one of its own",
			Facts:  report.NodeFacts{Exists: true, Ready: "True", Kubelet: "v1.36.1", Runtime: "cri-o://1.36.0"}, Total: 9, Healthy: 7, Stuck: 2, Next: "kubectl stuck node node-5 --probe",
		}},
	})
}

// unscheduled are pods that have no node, and one whose node does not exist any more.
func unscheduled() *report.Report {
	f := report.Finding{
		Code: "ST801", Slug: "no-room", Title: "No node has room", Subject: ref(snapshot.Deployment, "ml", "trainer"), Reach: scope.ReachPod, Confidence: scope.Certain,
		Message:  "None of 12 nodes is fit: 9 lack nvidia.com/gpu, 3 have the taint dedicated=infra:NoSchedule.",
		Evidence: []diagnose.Evidence{{Object: "pod ml/trainer-0", Field: "status.conditions[PodScheduled]", Value: "False: Unschedulable: 0/12 nodes are available: 3 node(s) had untolerated taint(s), 9 Insufficient nvidia.com/gpu."}},
	}
	var pods []report.Pod
	for i := range 13 {
		p := starting("ml", fmt.Sprintf("trainer-%d", i), "", stuck.Unschedulable, time.Duration(30-i)*time.Minute, ref(snapshot.Deployment, "ml", "trainer"))
		p.Findings, p.Reach, p.Confidence = []report.Finding{f}, scope.ReachPod, scope.Certain
		p.Status = "Pending"
		pods = append(pods, p)
	}
	gone := ending("ml", "notebook-0", "gpu-9", stuck.NodeGone, 35*time.Second, ref(snapshot.StatefulSet, "ml", "notebook"))
	gone.ClearsBy, gone.ClearsWhy = at(taken().Add(25*time.Second)), "PodGC removes pods of a missing node after a quarantine of 40s, in a loop of 20s"
	gone.Findings = []report.Finding{{
		Code: "ST105", Slug: "node-object-gone", Title: "The node object does not exist", Subject: ref(snapshot.Node, "", "gpu-9"), Reach: scope.ReachNode, Confidence: scope.Certain,
		Message: "Node gpu-9 was deleted; its pods are collected.", Evidence: []diagnose.Evidence{{Object: "node gpu-9", Field: "", Value: "not found"}},
	}}
	return base(report.Report{
		Summary: report.Summary{StuckPods: 14, StuckNodes: 1, NodeWide: 1, Pods: 88, Nodes: 12, Complete: true},
		Groups: []report.Group{
			{Node: "gpu-9", Reach: scope.ReachNode, Confidence: scope.Certain, Why: []string{"the node object does not exist"}, Stuck: 1, Facts: &report.NodeFacts{}, Findings: gone.Findings, Pods: []report.Pod{gone}, Next: "kubectl stuck node gpu-9"},
			{Reach: scope.ReachPod, Confidence: scope.Certain, Stuck: 13, Why: []string{"13 pods of 1 workload have no node"}, Findings: []report.Finding{f}, Pods: pods, Next: "kubectl stuck explain pod/trainer-0 -n ml"},
		},
	})
}

// namespaceOnly is the answer for somebody who may read one namespace and nothing else.
func namespaceOnly() *report.Report {
	p := ending("team-a", "api-0", "node-1", stuck.KillUnconfirmed, 6*time.Minute, ref(snapshot.StatefulSet, "team-a", "api"))
	p.Reach, p.Confidence = scope.ReachUndecided, scope.Possible
	p.Unexplained = &report.Unexplained{LookedAt: []string{"0 events", "finalizers"}, Missing: []string{"node node-1", "its lease", "PersistentVolumes"}}
	forbidden := func(k snapshot.Kind, resource string) report.Gap {
		return report.Gap{Kind: k, Reason: snapshot.ReasonForbidden, Detail: `User "dev@example.com" cannot list resource "` + resource + `" at the cluster scope`}
	}
	return base(report.Report{
		Asked:   report.Asked{Namespace: "team-a", LabelSelector: "app=api"},
		Summary: report.Summary{StuckPods: 1, StuckNodes: 1, Undecided: 1, Pods: 17},
		Groups: []report.Group{{
			Node: "node-1", Reach: scope.ReachUndecided, Confidence: scope.Possible, Stuck: 1, Total: 3, Healthy: 2,
			Why:    []string{"1 of 3 pods that could be seen on the node is stuck; pods of other namespaces could not be read"},
			Decide: "somebody who may read nodes and pods of all namespaces runs the same command",
			Pods:   []report.Pod{p}, Next: "kubectl stuck explain pod/api-0 -n team-a",
		}},
		Gaps: []report.Gap{
			forbidden(snapshot.Node, "nodes"), forbidden(snapshot.PersistentVolume, "persistentvolumes"),
			{Kind: snapshot.Event, Namespace: "team-a", Reason: snapshot.ReasonTimeout, Detail: "context deadline exceeded"},
			{Kind: snapshot.Lease, Namespace: "kube-node-lease", Name: "node-1", Reason: snapshot.ReasonForbidden, Detail: `User "dev@example.com" cannot get resource "leases" in API group "coordination.k8s.io" in the namespace "kube-node-lease"`},
		},
		Skipped: []report.Skip{
			{Code: "ST101", Slug: "node-lost", Reason: "nodes could not be read"}, {Code: "ST102", Slug: "kubelet-dead-node-up", Reason: "nodes could not be read"},
			{Code: "ST301", Slug: "nfs-dead", Reason: "persistentvolumes could not be read"},
		},
	})
}

func nothing() *report.Report {
	return base(report.Report{Summary: report.Summary{Pods: 4812, Nodes: 63, Waiting: 0, Complete: true},
		Nodes: []report.NodeStory{{Name: "node-1", Facts: report.NodeFacts{Exists: true, Ready: "True"}, Total: 40, Healthy: 40}}})
}

// storm is 5,000 stuck pods on 300 nodes.
func storm() *report.Report {
	r := report.Report{Summary: report.Summary{StuckPods: 5000, StuckNodes: 300, NodeWide: 300, Pods: 93000, Nodes: 1500, Complete: true}}
	left := 5000
	for i := range 300 {
		node := fmt.Sprintf("ip-10-%d-%d-7.eu-central-1.compute.internal", i/16, i%16)
		n := left / (300 - i)
		left -= n
		f := noProcesses()
		f.Subject.Name = node
		f.Message = "The container runtime on node " + node + " is refused new processes (EAGAIN)."
		g := report.Group{
			Node: node, Reach: scope.ReachNode, Confidence: scope.Likely, Total: 110, Healthy: 110 - n, Stuck: n,
			Why:   []string{fmt.Sprintf("%d of 110 pods are stuck, of 9 workloads", n)},
			Facts: &report.NodeFacts{Exists: true, Ready: "True"}, Next: "kubectl stuck node " + node,
		}
		if i%20 == 19 {
			f.Code, f.Title, f.Slug = "ST101", "The node is lost", "node-lost"
			f.Message = "Node " + node + " stopped reporting."
			g.Facts = &report.NodeFacts{Exists: true, Ready: "Unknown", ReadyReason: "NodeStatusUnknown", ReadySince: at(ago(9 * time.Minute)), LeaseStale: true}
		}
		if i >= 280 { // each with a story of its own
			f.Code = diagnose.Code(fmt.Sprintf("ST9%02d", i-280))
		}
		g.Findings = []report.Finding{f}
		for j := range n {
			p := starting("batch", fmt.Sprintf("crunch-%04d-%02d", i, j), node, stuck.ContainerCreating, time.Duration(300+j)*time.Second, ref(snapshot.Job, "batch", fmt.Sprintf("crunch-%04d", i)))
			p.Findings, p.Reach, p.Confidence = g.Findings, scope.ReachNode, scope.Likely
			g.Pods = append(g.Pods, p)
		}
		r.Groups = append(r.Groups, g)
		r.Nodes = append(r.Nodes, report.NodeStory{Name: node, Reach: g.Reach, Confidence: g.Confidence, Why: g.Why, Facts: *g.Facts, Total: g.Total, Healthy: g.Healthy, Stuck: g.Stuck, Findings: g.Findings})
	}
	return base(r)
}

// wideChars has text that takes more or fewer cells than it has runes.
func wideChars() *report.Report {
	p := starting("商店", "购物车服务-0", "节点-7", stuck.ContainerCreating, 8*time.Minute, ref(snapshot.StatefulSet, "商店", "购物车服务"))
	q := ending("shop", "café-ünïcode-e\u0301-1", "节点-7", stuck.Cleanup, 90*time.Second, ref(snapshot.StatefulSet, "shop", "café"))
	q.Status = "Terminating"
	p.UID, q.UID = string(types.UID("u-1")), "u-2"
	f := report.Finding{
		Code: "ST302", Slug: "mount-hangs", Title: "A mount hangs", Subject: ref(snapshot.Node, "", "节点-7"), Reach: scope.ReachNode, Confidence: scope.Possible,
		Message:  "挂载在节点上没有响应。 The mount does not answer 🚀 and nothing else says why.",
		Evidence: []diagnose.Evidence{{Object: "event of pod 商店/购物车服务-0", Field: "FailedMount", Count: 3, Last: ago(30 * time.Hour), Value: "挂载失败:资源暂时不可用 挂载失败:资源暂时不可用 挂载失败:资源暂时不可用 挂载失败:资源暂时不可用"}},
	}
	p.Findings, q.Findings = []report.Finding{f}, []report.Finding{f}
	return base(report.Report{
		Summary: report.Summary{StuckPods: 2, StuckNodes: 1, NodeWide: 1, Pods: 5, Nodes: 1, Complete: true},
		Groups:  []report.Group{{Node: "节点-7", Reach: scope.ReachNode, Confidence: scope.Possible, Why: []string{"2 of 5 pods are stuck"}, Total: 5, Healthy: 3, Stuck: 2, Findings: []report.Finding{f}, Pods: []report.Pod{p, q}, Next: "kubectl stuck node 节点-7"}},
	})
}

// catalogue are two causes as the catalogue has them.
func catalogue() []diagnose.Cause {
	return []diagnose.Cause{
		{
			Code: "ST201", Slug: "runtime-cannot-fork", Reach: scope.ReachNode, Needs: []snapshot.Kind{snapshot.Event, snapshot.Node},
			Doc: diagnose.Doc{
				Title:     "The runtime cannot start processes",
				Symptom:   "Pods hang in ContainerCreating and in Terminating on one node at the same time; events say `resource temporarily unavailable`.",
				Mechanism: "The kernel refuses new processes (EAGAIN) because kernel.pid_max, kernel.threads-max or a pids.max is reached. The runtime needs one for each container that it starts, stops or looks into: no <container> can be started | stopped.",
				Confirm:   []string{"kubectl get events -A --field-selector involvedObject.kind=Pod | grep 'resource temporarily unavailable'", "kubectl describe node {node}"},
				Remedies: []diagnose.Remedy{
					{ID: "find-the-eater", Risk: diagnose.RiskNone, Text: "Find what uses the processes: compare `ps -eLf | wc -l` with kernel.pid_max.", Command: "kubectl stuck node {node} --logs"},
					{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "Restart the runtime on the node. Containers that run keep running."},
				},
				Refs: []string{"https://kubernetes.io/docs/concepts/policy/pid-limiting/"},
			},
		},
		{Code: "ST601", Slug: "finalizer-held", Reach: scope.ReachPod, Doc: diagnose.Doc{Title: "A finalizer keeps the object"}},
	}
}
