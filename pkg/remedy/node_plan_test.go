package remedy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nodeFixture(t *testing.T, name string, asked Asked) *NodeCase {
	t.Helper()
	fx := snapshottest.Load(t, "testdata/nodes/"+name)
	found := stuck.Find(fx.Snapshot, stuck.Options{})
	p := NewPicture(fx.Snapshot, found, diagnose.Run(fx.Snapshot, found, causes.All(), "worker-3"))
	c := p.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: "worker-3"}, asked, func(*corev1.Pod) DrainWord { return DrainWord{Deletes: true} })
	fit := room.Fit(fx.Snapshot, "worker-3", c.Movers())
	c.Room = &fit
	return c
}

func TestANodeIsCordonedThenEmptiedThenDeleted(t *testing.T) {
	c := nodeFixture(t, "hung.yaml", Asked{DrainAndDelete: true})
	plan, err := MakeNode(c, Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	first, last := plan.Acts[0], plan.Acts[len(plan.Acts)-1]
	if !slices.Equal(first.Remedies, []ID{Cordon}) || first.Steps[0].Change == nil || !*first.Steps[0].Change.Unschedulable {
		t.Errorf("the first act is %v", first.Remedies)
	}
	if !slices.Equal(last.Remedies, []ID{DeleteNode}) || last.Steps[0].Verb != Delete || last.Steps[0].Ref.UID != "n-worker-3" || last.Steps[0].ResourceVersion != "4711" {
		t.Errorf("the last act is %v: %+v", last.Remedies, last.Steps)
	}
	evicted := map[string]bool{}
	for _, a := range plan.Acts[1 : len(plan.Acts)-1] {
		if a.Steps[0].Verb != Evict || a.Target.Kind != snapshot.Pod || a.Target.UID == "" {
			t.Errorf("between them: %+v", a)
		}
		evicted[a.Target.Name] = true
	}
	for _, p := range c.Pods {
		name := p.Case.Pod.Ref.Name
		if evicted[name] != (p.Fate == Evicted) {
			t.Errorf("%s is %s, and evicted: %v", name, p.Fate, evicted[name])
		}
		switch {
		case p.Case.Pod.Object.DeletionTimestamp != nil && p.Fate == Evicted:
			t.Errorf("%s is being deleted already, and is to be evicted", name)
		case p.Case.standing().mirror() && p.Fate != Remains, p.Case.standing().kindOfController() == "DaemonSet" && p.Fate != WithNode:
			t.Errorf("%s is %s", name, p.Fate)
		}
	}
	if len(evicted) == 0 || evicted["proxy-worker-3"] || evicted["agent-3"] {
		t.Errorf("evicted: %v", evicted)
	}
	if plan.Risk() != diagnose.RiskDataLoss { // db-0 is a StatefulSet's, and may not stop
		t.Errorf("the risk is %s", plan.Risk())
	}
	if !strings.Contains(strings.Join(last.Loses, "\n"), "db-0") {
		t.Errorf("what may be lost with db-0 is not said: %v", last.Loses)
	}
	c.Node = c.Node.DeepCopy()
	c.Node.Spec.Unschedulable = true
	if again, err := MakeNode(c, Cluster{}); err != nil || slices.Contains(again.Acts[0].Remedies, Cordon) {
		t.Errorf("a cordoned node is cordoned again: %v", err)
	}
	c.Planned = "other"
	if _, err := MakeNode(c, Cluster{}); !errors.Is(err, ErrReplaced) {
		t.Errorf("another Node of the name was planned on: %v", err)
	}
}

func TestPodsOfADeadKubeletAreNotEvicted(t *testing.T) {
	plan, err := MakeNode(nodeFixture(t, "dead.yaml", Asked{DrainAndDelete: true}), Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range plan.Acts {
		if slices.Contains(a.Remedies, EvictPod) {
			t.Errorf("%s is to be evicted from a kubelet that does not answer", a.Target)
		}
	}
}

func TestWhatADeletedNodeLeftIsSeen(t *testing.T) {
	before := NewBeforeNode(nodeFixture(t, "hung.yaml", Asked{DrainAndDelete: true}), []ID{DeleteNode})
	if len(before.Moves) == 0 {
		t.Fatal("nothing is known of its pods")
	}
	for name, good := range map[string]bool{"gone.yaml": true, "gone.pending.yaml": false} {
		s := snapshottest.Load(t, "testdata/nodes/"+name).Snapshot
		sight := LookNode(before, s, stuck.Find(s, stuck.Options{}))
		if !sight.Gone || sight.Good != good {
			t.Errorf("%s: gone %v, good %v: %q", name, sight.Gone, sight.Good, sight.Says)
		}
		replaced := map[snapshot.Ref]bool{}
		for _, m := range sight.Moves {
			if m.Replacement == nil {
				continue
			}
			if replaced[m.Replacement.Ref] {
				t.Errorf("%s: %s stands for two pods", name, m.Replacement.Ref)
			}
			replaced[m.Replacement.Ref] = true
		}
	}
	s := snapshottest.Load(t, "testdata/nodes/hung.yaml").Snapshot
	if sight := LookNode(before, s, stuck.Find(s, stuck.Options{})); sight.Gone || sight.Settled {
		t.Errorf("before it is deleted: %q", sight.Says)
	}
}
