package remedy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// nodeWorld is what is random about a node and its pods.
type nodeWorld struct {
	node     string // "absent", "unread", "True", "False", "Unknown"
	lease    string // "fresh", "stale", "none", "unread"
	taint    bool
	podsRead bool
	pods     []nodeWorldPod
	reach    scope.Reach
	again    bool
	replaced bool
	attest   string
	lifted   []string
	noRoom   bool
}

type nodeWorldPod struct {
	owner    string // "StatefulSet", "Kafka", "disk", "disk unread", "share", "plain", "DaemonSet", "DaemonSet disk"
	deleting bool
	ended    bool
	held     bool // by a finalizer
}

func randomNodeWorld(r *rand.Rand) nodeWorld {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	w := nodeWorld{
		node: pick("absent", "unread", "True", "True", "False", "Unknown", "Unknown", "Unknown"), lease: pick("fresh", "stale", "stale", "none", "unread"), taint: r.IntN(4) == 0,
		podsRead: r.IntN(8) > 0, reach: scope.Reach(pick("", "node", "node", "shared", "undecided")), again: r.IntN(3) == 0, replaced: r.IntN(10) == 0,
		attest: pick("", "", "", "yes", "worker-9 is powered off", "worker-3 is powered off", "it has no power"), noRoom: r.IntN(4) == 0,
	}
	for range r.IntN(4) {
		w.pods = append(w.pods, nodeWorldPod{
			owner: pick("StatefulSet", "Kafka", "disk", "disk unread", "share", "plain", "plain", "DaemonSet", "DaemonSet disk"), deleting: r.IntN(2) == 0, ended: r.IntN(3) == 0, held: r.IntN(5) == 0,
		})
	}
	for _, flag := range nodeLifts() {
		if r.IntN(8) > 0 {
			w.lifted = append(w.lifted, flag)
		}
	}
	return w
}

// nodeLifts are the flags that lift guards of nodes, but the attestation.
func nodeLifts() []string {
	var out []string
	for _, g := range nodeGuards() {
		if g.Flag != "" && g.Flag != flagAttest && !slices.Contains(out, g.Flag) {
			out = append(out, g.Flag)
		}
	}
	return out
}

func (w nodeWorld) build(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	b, yes := snapshot.NewBuilder(), true
	claim := func(name string, mode corev1.PersistentVolumeAccessMode) {
		b.Add(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{mode}}})
	}
	claim("disk", corev1.ReadWriteOnce)
	claim("share", corev1.ReadWriteMany)
	for i, p := range w.pods {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("p-%d", i), UID: "u"},
			Spec:       corev1.PodSpec{NodeName: "worker-3", Containers: []corev1.Container{{Name: "main"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", ContainerID: "containerd://abc", State: guardState("running")}}},
		}
		if p.ended {
			pod.Status.Phase, pod.Status.ContainerStatuses[0].State = corev1.PodFailed, guardState("ended")
		}
		if p.deleting {
			grace := int64(30)
			pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: guardTime().Add(-15 * time.Minute)}, &grace
		}
		if p.held {
			pod.Finalizers = []string{"example.com/a"}
		}
		owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", Controller: &yes}
		switch p.owner {
		case "StatefulSet":
			owner.Kind, owner.Name = "StatefulSet", "db"
		case "Kafka":
			owner.APIVersion, owner.Kind = "kafka.strimzi.io/v1", "StrimziPodSet"
		case "DaemonSet", "DaemonSet disk":
			owner.Kind, owner.Name = "DaemonSet", "agent"
		}
		pod.OwnerReferences = []metav1.OwnerReference{owner}
		if name := map[string]string{"disk": "disk", "DaemonSet disk": "disk", "share": "share", "disk unread": "secret"}[p.owner]; name != "" {
			pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}}}
		}
		b.Add(pod)
	}
	if w.podsRead {
		b.SetNodeComplete("worker-3")
	}
	b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-9", UID: "n9"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: "True"}}}})
	switch w.node {
	case "absent":
		b.SetAbsent(snapshot.Node, "", "worker-3")
	case "unread":
	default:
		n := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "worker-3", UID: "n3"},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionStatus(w.node)}}},
		}
		if w.taint {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
		}
		b.Add(n)
		b.SetComplete(snapshot.Node, "")
	}
	lease := func(name string, age time.Duration) {
		at, d := metav1.NewMicroTime(guardTime().Add(-age)), int32(40)
		b.Add(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name}, Spec: coordinationv1.LeaseSpec{RenewTime: &at, LeaseDurationSeconds: &d}})
	}
	lease("worker-9", 3*time.Second)
	switch w.lease {
	case "fresh":
		lease("worker-3", 5*time.Second)
	case "stale":
		lease("worker-3", 20*time.Minute)
	case "none":
		b.SetAbsent(snapshot.Lease, corev1.NamespaceNodeLease, "worker-3")
	}
	for _, k := range []snapshot.Kind{snapshot.ReplicaSet, snapshot.Deployment, snapshot.VolumeAttachment, snapshot.PodDisruptionBudget, snapshot.PersistentVolume} {
		b.SetComplete(k, "")
	}
	s, err := b.Build(guardTime())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heard and off follow from what was made up, and not from the objects.
func (w nodeWorld) heard() bool {
	return w.lease == "fresh" || w.lease != "stale" && (w.node == "True" || w.node == "False")
}

func (w nodeWorld) off() bool { return w.taint && !w.heard() && w.node != "True" }

func (w nodeWorld) attested() bool {
	return w.attest == "worker-3 is powered off" || w.attest == "it has no power"
}

// twice tells whether a pod that must not run twice may still run when the Node object is gone.
func (w nodeWorld) twice() bool {
	return slices.ContainsFunc(w.pods, func(p nodeWorldPod) bool {
		once := !slices.Contains([]string{"share", "plain", "DaemonSet"}, p.owner)
		leavesFirst := w.heard() && !p.deleting && !w.again && p.owner != "DaemonSet disk" // evicted, and it stops in order
		return once && !p.ended && !leavesFirst && !w.off()
	})
}

// forbidden says why the deletion must not be let through; empty where it may.
func (w nodeWorld) forbidden() string {
	lifts := func(flag string) bool { return slices.Contains(w.lifted, flag) }
	// What a ReplicaSet made is replaced as soon as it is being deleted, and what a StatefulSet made when it is gone.
	movers := slices.ContainsFunc(w.pods, func(p nodeWorldPod) bool {
		return !p.ended && p.owner != "DaemonSet" && p.owner != "DaemonSet disk" && (!p.deleting || p.owner == "StatefulSet" || p.owner == "Kafka")
	})
	switch {
	case w.node == "absent" || w.node == "unread":
		return "the node is not known"
	case !w.podsRead:
		return "its pods are not known"
	case w.replaced:
		return "it is another node"
	case w.attest != "" && !w.attested():
		return "the attestation is of nothing, or of another node"
	case w.node == "True" && w.lease != "stale" && w.reach != scope.ReachNode && !lifts("even-if-healthy"):
		return "the node is healthy"
	case w.twice() && !w.attested():
		return "a pod may run twice"
	case w.lease == "unread" && !w.attested():
		return "the lease was not read"
	case w.noRoom && movers && !lifts("even-without-room"):
		return "room was not looked at"
	case !w.heard() && !w.off() && !w.attested() && slices.ContainsFunc(w.pods, func(p nodeWorldPod) bool { return p.owner == "disk unread" && !p.ended }):
		return "a claim was not read"
	default:
		return ""
	}
}

func TestNoNodeIsDeletedWithoutEvidence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test, which should do the same every time
	forbidden, through := map[string]int{}, 0
	for range 20000 {
		w := randomNodeWorld(r)
		p := NewPicture(w.build(t), stuck.Result{}, diagnose.Diagnosis{})
		ref := snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}
		if w.replaced {
			ref.UID = "n-before"
		}
		c := p.NodeCase(ref, Asked{DrainAndDelete: true, Attest: w.attest, Lifted: w.lifted, Again: w.again}, nil)
		c.Reach = w.reach
		if !w.noRoom {
			c.Room = &room.Result{}
		}
		vs := JudgeNode(c, DeleteNode)
		held := slices.ContainsFunc(vs, Verdict.Blocks)
		one := slices.ContainsFunc(nodeAtMostOne().Node(c, DeleteNode), Verdict.Blocks)
		known := w.node != "absent" && w.node != "unread"
		if why := w.forbidden(); why != "" {
			forbidden[why]++
			if !held {
				t.Fatalf("%s, and the deletion is let through: %+v: %+v", why, w, vs)
			}
		} else if !held {
			through++
		}
		if want := w.twice() && !w.attested(); known && one != want {
			t.Fatalf("a pod may run twice, unexcused: %t; it is blocked: %t: %+v", want, one, w)
		}
		// Nothing but the words lifts it, and words of another node do not.
		if known && w.twice() && !w.attested() {
			c.Asked.Lifted = nodeLifts()
			if !slices.ContainsFunc(JudgeNode(c, DeleteNode), func(v Verdict) bool { return v.Guard == "node-at-most-one" && v.Blocks() }) {
				t.Fatalf("flags lift at-most-one: %+v", w)
			}
		}
	}
	for _, why := range []string{
		"the node is not known", "its pods are not known", "it is another node", "the attestation is of nothing, or of another node", "the node is healthy", "a pod may run twice", "the lease was not read",
		"room was not looked at",
	} {
		if forbidden[why] < 50 {
			t.Errorf("too few worlds in which %s: %d", why, forbidden[why])
		}
	}
	if through < 300 {
		t.Errorf("too few deletions are let through to tell anything: %d", through)
	}
}

// TestNoNodeThatMayRunIsTakenForOff asks the same of the taint.
func TestNoNodeThatMayRunIsTakenForOff(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test, which should do the same every time
	through := 0
	for range 8000 {
		w := randomNodeWorld(r)
		p := NewPicture(w.build(t), stuck.Result{}, diagnose.Diagnosis{})
		c := p.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, Asked{OutOfService: true, Attest: w.attest, Lifted: nodeLifts()}, nil)
		held := slices.ContainsFunc(JudgeNode(c, OutOfService), Verdict.Blocks)
		may := w.node != "absent" && w.node != "unread" && w.node != "True" && !w.heard() && w.podsRead && w.attest == "worker-3 is powered off"
		if held == may {
			t.Fatalf("it may be done: %t; it is blocked: %t: %+v: %+v", may, held, w, JudgeNode(c, OutOfService))
		}
		if !held {
			through++
		}
	}
	if through < 100 {
		t.Errorf("too few are let through to tell anything: %d", through)
	}
}

func TestGuardsOfNodesSurviveAnEmptyCase(t *testing.T) {
	s, err := snapshot.NewBuilder().Build(guardTime())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*NodeCase{{S: s, Picture: &Picture{S: s}}, {S: s}, {S: s, Ref: snapshot.Ref{Kind: snapshot.Node, Name: "x"}, Node: &corev1.Node{}, Asked: Asked{Attest: "\x00"}}} {
		for _, id := range []ID{Cordon, DeleteNode, OutOfService, InService, RestoreNode} {
			if vs := JudgeNode(c, id); !slices.ContainsFunc(vs, Verdict.Blocks) && c.Node == nil {
				t.Errorf("%s of a node of which nothing is known is let through: %+v", id, vs)
			}
		}
	}
}
