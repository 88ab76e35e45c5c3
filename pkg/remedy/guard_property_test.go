package remedy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func guardTime() time.Time { return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC) }

// guardWorld is what is random about a pod that must not run twice, and its node.
type guardWorld struct {
	phase                    corev1.PodPhase
	state, initState         string
	collected, missing       bool
	node                     string // "absent", "unread", "True", "False", "Unknown"
	lease                    string // "fresh", "stale", "none", "unread"
	taint                    bool
	owner                    string                              // "StatefulSet", "Kafka", "claim", "claim unread"
	modes                    []corev1.PersistentVolumeAccessMode // of the claim
	readOnly                 bool                                // how it is mounted
	grace                    int64
	attest                   string
	finalizers, othersLifted bool
}

func randomWorld(r *rand.Rand) guardWorld {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	states := []string{"running", "waiting", "ended", "ended", "lost", "lost before", "never", "unset", "begun"}
	return guardWorld{
		phase: corev1.PodPhase(pick("Running", "Pending", "Failed", "Failed", "Succeeded", "")), state: pick(states...), initState: pick(states...),
		collected: r.IntN(4) == 0, missing: r.IntN(4) == 0, node: pick("absent", "unread", "True", "False", "Unknown"),
		lease: pick("fresh", "stale", "none", "unread"), taint: r.IntN(3) == 0, owner: pick("StatefulSet", "Kafka", "claim", "claim unread"), modes: [][]corev1.PersistentVolumeAccessMode{
			{corev1.ReadWriteOncePod}, {corev1.ReadWriteOnce}, {corev1.ReadWriteOnce, corev1.ReadOnlyMany}, {corev1.ReadOnlyMany, corev1.ReadWriteOncePod},
			{corev1.ReadOnlyMany}, {corev1.ReadWriteMany}, {corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany}, {},
		}[r.IntN(8)], readOnly: r.IntN(4) == 0,
		grace: int64(r.IntN(2) * 30), attest: pick("", "", "", "yes", "worker-9 is powered off", "worker-3 is powered off", "it has no power"),
		finalizers: r.IntN(2) == 0, othersLifted: r.IntN(2) == 0,
	}
}

func guardState(name string) corev1.ContainerState {
	switch name {
	case "running":
		return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	case "waiting", "begun":
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}
	case "ended":
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
	case "lost", "lost before", "never":
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", ExitCode: 137}}
	default:
		return corev1.ContainerState{}
	}
}

func (w guardWorld) build(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "db-0", UID: "u", CreationTimestamp: metav1.NewTime(guardTime().Add(-time.Hour)),
			DeletionTimestamp: &metav1.Time{Time: guardTime().Add(-15 * time.Minute)}, DeletionGracePeriodSeconds: &w.grace,
		},
		Spec:   corev1.PodSpec{NodeName: "worker-3", InitContainers: []corev1.Container{{Name: "setup"}}, Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: w.phase, InitContainerStatuses: []corev1.ContainerStatus{{Name: "setup", State: guardState(w.initState)}}},
	}
	if !w.missing {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: guardState(w.state)}}
	}
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range l {
			if w.initState == "begun" && l[i].Name == "setup" || w.state == "begun" && l[i].Name == "main" {
				l[i].RestartCount = 1
			}
			switch map[string]string{"setup": w.initState, "main": w.state}[l[i].Name] {
			case "lost":
				l[i].ContainerID = "containerd://abc"
			case "lost before":
				l[i].LastTerminationState = *l[i].State.DeepCopy()
			}
		}
	}
	if w.collected {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: "True", Reason: "DeletionByPodGC"})
	}
	if w.finalizers {
		p.Finalizers = []string{"example.com/a"}
	}
	switch w.owner {
	case "StatefulSet":
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: &yes}}
	case "Kafka":
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "kafka.strimzi.io/v1", Kind: "StatefulSet", Name: "db", Controller: &yes}}
	default:
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data", ReadOnly: w.readOnly}}}}
		if w.owner == "claim" {
			b.Add(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: w.modes}})
		}
	}
	b.Add(p)
	b.Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-9"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: "True"}}}})
	switch w.node {
	case "absent":
		b.SetAbsent(snapshot.Node, "", "worker-3")
	case "unread":
	default:
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-3"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionStatus(w.node)}}}}
		if w.taint {
			n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
		}
		b.Add(n)
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
	s, err := b.Build(guardTime())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// proven tells whether one of the things holds that show that no container runs, worked out from what was made up and not from the objects.
func (w guardWorld) proven() bool {
	over := func(state string) bool {
		return state == "ended" || (state == "waiting" || state == "never") && !w.collected
	}
	ended := (w.phase == corev1.PodFailed || w.phase == corev1.PodSucceeded) && !w.missing && over(w.state) && over(w.initState)
	gone := w.node == "absent" && (w.lease == "stale" || w.lease == "none") // a lease that was not read may be fresh
	// Ready=False is the kubelet's own word unless its lease went stale since.
	off := w.taint && w.lease != "fresh" && (w.node == "Unknown" || w.node == "False" && w.lease == "stale")
	return ended || gone || off
}

// excused takes a person's word too.
func (w guardWorld) excused() bool {
	return w.proven() || w.attest == "worker-3 is powered off" || w.attest == "it has no power"
}

// many tells whether a second pod does no harm: the claim lets several write, or this pod does not write.
func (w guardWorld) many() bool {
	has := func(m corev1.PersistentVolumeAccessMode) bool { return slices.Contains(w.modes, m) }
	return w.owner == "claim" && (w.readOnly || has(corev1.ReadWriteMany) || has(corev1.ReadOnlyMany) && len(w.modes) == 1)
}

func TestNoPodThatMustNotRunTwiceIsForcedWithoutEvidence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test, which should do the same every time
	excused, blocked := 0, 0
	for range 20000 {
		w := randomWorld(r)
		asked := Asked{Force: true, Attest: w.attest}
		if w.othersLifted {
			asked.Lifted = []string{"even-in-grace", "even-if-owner-alive", "even-in-storm"}
			asked.Named = []string{"example.com/a"}
		}
		c, ok := NewPicture(w.build(t), stuck.Result{}, diagnose.Diagnosis{}).Case(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "db-0"}, asked)
		if !ok {
			t.Fatal("the pod is not there")
		}
		held := slices.ContainsFunc(Judge(c, Remedy{ID: ForceDelete}), Verdict.Blocks)
		one := slices.ContainsFunc(atMostOne().Check(c, Remedy{ID: ForceDelete}), Verdict.Blocks)
		st := c.standing()
		if got := len(st.promises()) == 0; got != w.many() {
			t.Fatalf("promises and at-most-one do not agree: %t, %+v", got, w)
		}
		if risk := st.forceWork().Risk; risk != diagnose.RiskDataLoss && !w.many() && !w.proven() {
			t.Fatalf("a second writer may start, and the risk is %s: %+v", risk, w)
		}
		switch {
		case w.many():
			if one {
				t.Fatalf("a second pod does no harm, and it is blocked: %+v", w)
			}
			continue
		case w.excused():
			excused++
			if one {
				t.Fatalf("the evidence holds, and it is blocked: %+v", w)
			}
		case !held || !one:
			t.Fatalf("no evidence holds, and it is let through: %+v: %+v", w, Judge(c, Remedy{ID: ForceDelete}))
		default:
			blocked++
		}
		// What drops the object at once is judged as a forced deletion is.
		if past, _ := c.past(RemoveFinalizers); past && !w.excused() && !slices.ContainsFunc(Judge(c, Remedy{ID: RemoveFinalizers}), Verdict.Blocks) {
			t.Fatalf("the last finalizer goes, and with it the pod, without evidence: %+v", w)
		}
	}
	if excused < 1000 || blocked < 1000 {
		t.Errorf("too few worlds of one kind: %d excused, %d blocked", excused, blocked)
	}
}

// TestLosingEvidenceNeverAllows takes single fields out of what the kubelet and the node controller said: whoever was not to be forced stays so.
func TestLosingEvidenceNeverAllows(t *testing.T) {
	fx := snapshottest.Load(t, "testdata/guards/at-most-one.yaml")
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "db-0"}
	tried := 0
	eachLoss(t, fx.Snapshot, func(o runtime.Object) bool {
		switch o := o.(type) {
		case *corev1.Pod:
			return o.Name == ref.Name
		case *corev1.Node:
			return o.Name == "worker-3"
		default:
			return false
		}
	}, "/status", func(what string, s *snapshot.Snapshot) {
		tried++
		c, ok := NewPicture(s, stuck.Result{}, diagnose.Diagnosis{}).Case(ref, Asked{Force: true})
		if !ok || !slices.ContainsFunc(Judge(c, Remedy{ID: ForceDelete}), Verdict.Blocks) {
			t.Errorf("without %s the pod may be forced", what)
		}
	})
	if tried < 20 {
		t.Errorf("only %d fields were taken out", tried)
	}
}

// TestGuardsSurviveWhatIsMissing takes every field, one at a time, out of the objects of some fixtures, and asks every guard about every pod.
func TestGuardsSurviveWhatIsMissing(t *testing.T) {
	for _, name := range []string{"volume-in-use", "comes-back", "owner-alive", "virtual-node"} {
		fx := snapshottest.Load(t, "testdata/guards/"+name+".yaml")
		seen := map[string]bool{}
		eachLoss(t, fx.Snapshot, func(o runtime.Object) bool {
			kind := fmt.Sprintf("%T", o)
			first := !seen[kind]
			seen[kind] = true
			return first
		}, "", func(what string, s *snapshot.Snapshot) {
			p := NewPicture(s, stuck.Result{}, diagnose.Diagnosis{})
			run := &Run{Picture: p}
			for _, pod := range s.Pods() {
				c, ok := p.Case(snapshot.RefOf(pod), Asked{Attest: "worker-3 is powered off"})
				if !ok {
					continue
				}
				run.Cases, run.Remedies = append(run.Cases, c), append(run.Remedies, changes())
				for _, id := range changes() {
					for _, v := range Judge(c, Remedy{ID: id}) {
						if v.Reason == "" {
							t.Errorf("%s without %s: %s says nothing", name, what, v.Guard)
						}
					}
				}
			}
			JudgeRun(run)
		})
	}
	c := &Case{S: snapshottest.Load(t, "testdata/guards/replaced.yaml").Snapshot}
	for _, id := range append(changes(), PutBack, CreateAgain) {
		vs := Judge(c, Remedy{ID: id})
		if slices.Contains(changes(), id) && !slices.ContainsFunc(vs, Verdict.Blocks) {
			t.Errorf("%s of a pod that was not read is let through: %+v", id, vs)
		}
	}
	JudgeRun(&Run{Cases: []*Case{nil, c}, Remedies: [][]ID{changes()}, Asked: Asked{Attest: "x"}})
}

// eachLoss calls back with the picture as it is without one field of one of its objects. Fields are below the path.
func eachLoss(t *testing.T, s *snapshot.Snapshot, of func(runtime.Object) bool, below string, back func(string, *snapshot.Snapshot)) {
	t.Helper()
	for _, k := range snapshot.Kinds() {
		for _, o := range s.Objects(k.Kind) {
			if !of(o) {
				continue
			}
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			if err := json.Unmarshal(raw, &tree); err != nil {
				t.Fatal(err)
			}
			losses(tree, "", func(path string) {
				if !strings.HasPrefix(path, below) || path == "/metadata" || path == "/metadata/name" || path == "/metadata/namespace" || path == "/kind" {
					return
				}
				cut, err := json.Marshal(tree)
				if err != nil {
					t.Fatal(err)
				}
				changed := snapshot.New(k.Kind)
				if err := json.Unmarshal(cut, changed); err != nil {
					t.Fatal(err)
				}
				back(fmt.Sprintf("%s of a %s", path, k.Kind), without(t, s, k.Kind, o, changed))
			})
		}
	}
}

// losses removes one field of the tree after the other, calls back, and puts it back.
func losses(tree any, path string, back func(path string)) {
	switch v := tree.(type) {
	case map[string]any:
		for key, child := range v {
			delete(v, key)
			back(path + "/" + key)
			v[key] = child
			losses(child, path+"/"+key, back)
		}
	case []any:
		for i, child := range v {
			losses(child, fmt.Sprintf("%s/%d", path, i), back)
		}
	}
}

func without(t *testing.T, s *snapshot.Snapshot, kind snapshot.Kind, old, changed runtime.Object) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, k := range snapshot.Kinds() {
		for _, o := range s.Objects(k.Kind) {
			if k.Kind == kind && o == old {
				o = changed
			}
			b.Add(o)
		}
	}
	s.Coverage().Apply(b)
	out, err := b.Build(s.Now())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnAttestationIsAPersonsWord(t *testing.T) {
	for _, words := range []string{"", " ", "yes", "ok", "off", "yes yes yes yes", "... ??? !!!", "1 2 3 4", "\x00\x01\x02 \u202e", strings.Repeat("worker is off ", 100), strings.Repeat("a", 1<<20)} {
		if got, err := Attestation(words); err == nil {
			t.Errorf("%.40q counts as %.40q", words, got)
		}
	}
	for words, want := range map[string]string{
		"worker-3 is off": "worker-3 is off", "  I pulled\n the\tplug ": "I pulled the plug", "节点已断电": "节点已断电",
		"the node\x1b[31m is\u202e off\xff": "the node[31m is off", "La machine est éteinte": "La machine est éteinte",
	} {
		if got, err := Attestation(words); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", words, got, err, want)
		}
	}
}

func TestANodeIsNamedByItsWholeName(t *testing.T) {
	for words, want := range map[string]bool{
		"worker-1 is off": true, "off is worker-1.": true, "worker-1, worker-10": true, "节点worker-1已关机": true, "WORKER-1 is off": true, "(worker-1)": true,
		"worker-10 is off": false, "my-worker-1 is off": false, "worker-1.example.com is off": false, "worker-1-b": false, "worker": false, "": false,
	} {
		if got := namesNode(words, "worker-1"); got != want {
			t.Errorf("%q names worker-1: %t, want %t", words, got, want)
		}
	}
	if namesNode("anything", "") {
		t.Error("a node without a name is named")
	}
}

// TestASharePartlyReadIsNotAllowed takes the word that all pods were read out of the picture.
func TestASharePartlyReadIsNotAllowed(t *testing.T) {
	fx := snapshottest.Load(t, "testdata/guards/blast-radius.unread.yaml")
	b := snapshot.NewBuilder()
	for _, k := range snapshot.Kinds() {
		for _, o := range fx.Snapshot.Objects(k.Kind) {
			if p, ok := o.(*corev1.Pod); !ok || strings.HasPrefix(p.Name, "db-") {
				b.Add(o)
			}
		}
	}
	s, err := b.Build(fx.Snapshot.Now())
	if err != nil {
		t.Fatal(err)
	}
	for share, want := range map[int]string{0: "block", 90: "block", 100: "lifted"} {
		run := &Run{Picture: NewPicture(s, stuck.Result{}, diagnose.Diagnosis{}), Asked: Asked{MaxShare: share}}
		for _, name := range []string{"db-0", "db-1"} {
			c, _ := run.Picture.Case(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: name}, run.Asked)
			run.Cases, run.Remedies = append(run.Cases, c), append(run.Remedies, []ID{ForceDelete})
		}
		vs := blastRadius().Run(run)
		if got := outcome(vs); got != want || !strings.Contains(vs[0].Reason, "the share is not known") {
			t.Errorf("--max-share %d: %s, want %s: %+v", share, got, want, vs)
		}
	}
}
