package remedy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// keptNodeOf is a Node as a journal has it.
func keptNodeOf(t testing.TB, edits ...func(*corev1.Node)) json.RawMessage {
	t.Helper()
	n := &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "w1", UID: "old", ResourceVersion: "7", Labels: map[string]string{"kubernetes.io/hostname": "w1", "disk": "ssd"},
			Annotations: map[string]string{"team": "a", "k8s.ovn.org/node-subnets": "x", "node.alpha.kubernetes.io/ttl": "0"},
		},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///i-1", PodCIDR: "10.0.1.0/24", PodCIDRs: []string{"10.0.1.0/24"},
			Taints: []corev1.Taint{{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}, {Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}},
		},
		Status: corev1.NodeStatus{Phase: "Running"},
	}
	for _, e := range edits {
		e(n)
	}
	raw, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func cordonedNode(n *corev1.Node) { n.Spec.Unschedulable = true }

// nodeRun is a run about node w1, with an act for each of the given.
func nodeRun(acts ...func(*History)) History {
	h := History{Record: Record{ID: "20260301-100000-abcdef", Time: guardTime().Add(-time.Hour), Plan: Plan{Cluster: Cluster{ID: "c-1", Server: "https://a"}}}}
	for _, a := range acts {
		a(&h)
	}
	return h
}

func nodeAct(id ID, st Status, raw json.RawMessage, step Step) func(*History) {
	return func(h *History) {
		ref := snapshot.Ref{Kind: snapshot.Node, Name: "w1", UID: "old"}
		if step.Verb == Evict {
			ref = snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "batch", UID: "old"}
		}
		step.Ref, step.Undo = ref, Undo{Can: true}
		i := len(h.Plan.Acts)
		h.Plan.Acts = append(h.Plan.Acts, Act{Target: ref, Node: "w1", Remedies: []ID{id}, Steps: []Step{step}})
		h.Objects = append(h.Objects, raw)
		if st != Skipped {
			h.Entries = append(h.Entries, Entry{Type: Intent, Act: i})
		}
		if st != Skipped && st != Open {
			h.Entries = append(h.Entries, Entry{Type: Result, Act: i, Outcome: &Outcome{Act: i, Status: st}})
		}
	}
}

func cordonAct(st Status, raw json.RawMessage) func(*History) {
	on := true
	return nodeAct(Cordon, st, raw, Step{Verb: Patch, Change: &NodeChange{Unschedulable: &on}})
}

func deleteAct(st Status, raw json.RawMessage) func(*History) {
	return nodeAct(DeleteNode, st, raw, Step{Verb: Delete})
}

func changeAct(id ID, ch NodeChange) func(*History) {
	return nodeAct(id, Done, json.RawMessage(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"w1","uid":"old"}}`), Step{Verb: Patch, Change: &ch})
}

func withKept(raw ...json.RawMessage) func(*History) {
	return func(h *History) { h.Kept = append(h.Kept, raw...) }
}

func liveNode(uid string, edits ...func(*corev1.Node)) runtime.Object {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "old", ResourceVersion: "9"}}
	if uid != "" {
		n.UID = types.UID(uid)
	}
	for _, e := range edits {
		e(n)
	}
	return n
}

func TestUndoTakesBackWhatWasDoneToANode(t *testing.T) {
	plain, mine := keptNodeOf(t), UnprovenTaint()
	restore := NodeChange{AddLabels: map[string]string{"disk": "ssd", "zone": "a"}, AddTaints: []corev1.Taint{mine, {Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}}
	restored := func(n *corev1.Node) {
		n.Labels = map[string]string{"disk": "ssd", "zone": "b", "other": "x"}
		n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "changed", Effect: corev1.TaintEffectNoSchedule}, mine}
	}
	for name, tc := range map[string]struct {
		h       History
		now     runtime.Object
		unread  bool
		pod     *corev1.Pod
		want    []string // the acts: rung and target
		step    string   // in the first step, as JSON
		refused string
		says    string // in a verdict
	}{
		"a cordon, where the drain stopped":     {h: nodeRun(cordonAct(Done, plain), deleteAct(Skipped, plain)), now: liveNode("", cordonedNode), want: []string{"uncordon Node/w1"}, step: `"unschedulable":false`},
		"not where it is uncordoned already":    {h: nodeRun(cordonAct(Done, plain)), now: liveNode(""), refused: "nothing of it is left"},
		"not of another object of the name":     {h: nodeRun(cordonAct(Done, plain)), now: liveNode("new", cordonedNode), refused: "another Node object now (UID new)"},
		"not where the call was not answered":   {h: nodeRun(cordonAct(Open, plain)), now: liveNode("", cordonedNode), refused: "not known"},
		"not where nothing was done":            {h: nodeRun(cordonAct(Rejected, plain)), now: liveNode("", cordonedNode), refused: "nothing of it was done"},
		"not what somebody else had done":       {h: nodeRun(cordonAct(Already, plain)), now: liveNode("", cordonedNode), refused: "somebody else had done it"},
		"not where it was not read":             {h: nodeRun(cordonAct(Done, plain)), unread: true, refused: "could not be read"},
		"not where somebody cordoned it since":  {h: nodeRun(cordonAct(Done, plain)), now: liveNode("", cordonedNode, wroteCordon("kubectl-cordon")), refused: "kubectl-cordon cordoned or uncordoned it since"},
		"but where this tool wrote it last":     {h: nodeRun(cordonAct(Done, plain)), now: liveNode("", cordonedNode, wroteCordon("kubectl-stuck")), want: []string{"uncordon Node/w1"}},
		"a Node that is gone is created again":  {h: nodeRun(cordonAct(Done, plain), deleteAct(Done, keptNodeOf(t, cordonedNode))), want: []string{"create-node Node/w1"}, says: "kubelet"},
		"a Node that its kubelet registered":    {h: nodeRun(cordonAct(Done, plain), deleteAct(Done, plain)), now: liveNode("new"), refused: "kubectl stuck node w1 --restore"},
		"a Node that is still there":            {h: nodeRun(deleteAct(Open, plain)), now: liveNode(""), refused: "still there"},
		"a Node that was not read":              {h: nodeRun(deleteAct(Done, plain)), unread: true, want: []string{"create-node Node/w1"}, says: "could not be seen"},
		"a deletion that nobody saw":            {h: nodeRun(deleteAct(Open, plain)), want: []string{"create-node Node/w1"}, says: "never seen"},
		"the journal has another Node":          {h: nodeRun(deleteAct(Done, keptNodeOf(t, func(n *corev1.Node) { n.UID = "x" }))), refused: "is not that Node"},
		"the journal has none":                  {h: nodeRun(deleteAct(Done, json.RawMessage(`null`))), refused: "not kept"},
		"the journal has no Node but a pod":     {h: nodeRun(deleteAct(Done, kept(t))), refused: "is a Pod (v1)"},
		"a bare pod that went with it":          {h: nodeRun(deleteAct(Done, plain), withKept(kept(t, running))), want: []string{"create-node Node/w1", "create-again Pod/shop/batch"}},
		"also where the Node is back":           {h: nodeRun(deleteAct(Done, plain), withKept(kept(t, running))), now: liveNode("new"), want: []string{"create-again Pod/shop/batch"}, says: "--restore"},
		"not a pod that is still there":         {h: nodeRun(deleteAct(Done, plain), withKept(kept(t, running))), pod: livePod(), want: []string{"create-node Node/w1"}},
		"not a pod that had ended":              {h: nodeRun(deleteAct(Done, plain), withKept(kept(t))), want: []string{"create-node Node/w1"}},
		"not the mirror of a static pod":        {h: nodeRun(deleteAct(Done, plain), withKept(kept(t, running, meta("annotations", map[string]any{corev1.MirrorPodAnnotationKey: "x"})))), want: []string{"create-node Node/w1"}},
		"not a pod with a controller":           {h: nodeRun(deleteAct(Done, plain), withKept(kept(t, running, controlledBy("ReplicaSet", "r")))), want: []string{"create-node Node/w1"}, says: "Shop/batch: the controllers of these pods make others"},
		"not pods of a Node that stayed":        {h: nodeRun(cordonAct(Done, plain), deleteAct(Rejected, plain), withKept(kept(t, running))), now: liveNode("", cordonedNode), want: []string{"uncordon Node/w1"}},
		"a bare pod that was evicted":           {h: nodeRun(cordonAct(Done, plain), nodeAct(EvictPod, Done, kept(t, running), Step{Verb: Evict}), deleteAct(Skipped, plain)), now: liveNode("", cordonedNode), want: []string{"uncordon Node/w1", "create-again Pod/shop/batch"}},
		"a restore, as far as it is unchanged":  {h: nodeRun(changeAct(RestoreNode, restore)), now: liveNode("", restored), want: []string{"restore-node Node/w1"}, step: `"change":{"removeTaints":[{"key":"kubectl-stuck.dev/unproven","effect":"NoSchedule"}],"removeLabels":{"disk":"ssd"}}`},
		"the taint of a node that is off":       {h: nodeRun(changeAct(OutOfService, NodeChange{AddTaints: []corev1.Taint{OutOfServiceTaint()}})), now: liveNode("", func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{OutOfServiceTaint()} }), want: []string{"in-service Node/w1"}, step: `"removeTaints":[{"key":"node.kubernetes.io/out-of-service"`},
		"the same where it is gone":             {h: nodeRun(changeAct(OutOfService, NodeChange{AddTaints: []corev1.Taint{OutOfServiceTaint()}})), now: liveNode(""), refused: "nothing of it is left"},
		"a proof gives our taint back, no more": {h: nodeRun(changeAct(ProveNode, NodeChange{RemoveTaints: []corev1.Taint{mine, OutOfServiceTaint()}})), now: liveNode(""), want: []string{"prove-node Node/w1"}, step: `"change":{"addTaints":[{"key":"kubectl-stuck.dev/unproven","effect":"NoSchedule"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := undoWorld{pod: tc.pod}
			if tc.now != nil {
				w.more = append(w.more, tc.now)
			}
			if tc.unread {
				w.unread = []snapshot.Kind{snapshot.Node}
			}
			p, err := UndoPlan(tc.h, w.picture(t), w.here())
			if tc.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tc.refused) {
					t.Fatalf("%v, and no %q: %+v", err, tc.refused, p.Acts)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			said := p.Verdicts
			for _, a := range p.Acts {
				got = append(got, fmt.Sprintf("%s %s/%s", a.Remedies[0], a.Target.Kind, strings.TrimPrefix(a.Target.Namespace+"/"+a.Target.Name, "/")))
				said = append(said, a.Verdicts...)
				if a.Risk == "" || a.Why == "" || len(a.Steps) != 1 || a.Steps[0].What == "" || len(a.Steps[0].Kubectl) == 0 {
					t.Errorf("%+v", a)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q, and not %q", got, tc.want)
			}
			if raw, _ := json.Marshal(p.Acts[0].Steps[0]); !strings.Contains(string(raw), tc.step) {
				t.Errorf("no %s in %s", tc.step, raw)
			}
			if tc.says != "" && !slices.ContainsFunc(said, func(v Verdict) bool { return strings.Contains(v.Reason, tc.says) }) {
				t.Errorf("nobody says %q: %+v", tc.says, said)
			}
		})
	}
}

func running(o map[string]any) {
	o["status"] = map[string]any{"phase": "Running"}
	delete(o["metadata"].(map[string]any), "deletionTimestamp") //nolint:forcetypeassert // the test's own object
}

// wroteCordon makes the node one whose spec.unschedulable that manager wrote; the finalizer makes a snapshot keep that.
func wroteCordon(manager string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Finalizers = []string{"example.com/x"}
		e := metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: &metav1.FieldsV1{}}
		e.FieldsV1.SetRawBytes([]byte(`{"f:spec":{"f:unschedulable":{}}}`))
		n.ManagedFields = []metav1.ManagedFieldsEntry{e}
	}
}

func TestANodeIsCreatedAgainWithoutWhatOthersSet(t *testing.T) {
	h := nodeRun(cordonAct(Done, keptNodeOf(t)), deleteAct(Done, keptNodeOf(t, cordonedNode)))
	p, err := UndoPlan(h, undoWorld{}.picture(t), undoWorld{}.here())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"apiVersion":"v1","kind":"Node","metadata":{"annotations":{"team":"a"},"labels":{"disk":"ssd","kubernetes.io/hostname":"w1"},"name":"w1"},` +
		`"spec":{"providerID":"aws:///i-1","taints":[{"key":"dedicated","value":"db","effect":"NoSchedule"}]}}`
	if got := string(p.Acts[0].Steps[0].Manifest); got != want {
		t.Errorf("%s\nand not\n%s", got, want)
	}
	// It was cordoned before the run: the run has no act that did it.
	h = nodeRun(deleteAct(Done, keptNodeOf(t, cordonedNode)))
	if p, err = UndoPlan(h, undoWorld{}.picture(t), undoWorld{}.here()); err != nil || !strings.Contains(string(p.Acts[0].Steps[0].Manifest), `"unschedulable":true`) {
		t.Errorf("%v %+v", err, p.Acts)
	}
}

func TestTheSavedNodeIsTheOneBeforeThisToolCordonedIt(t *testing.T) {
	plain, cordoned := keptNodeOf(t), keptNodeOf(t, cordonedNode)
	at := func(h History, id string, ago time.Duration) History {
		h.ID, h.Time = id, guardTime().Add(-ago)
		return h
	}
	off := false
	first := at(nodeRun(cordonAct(Done, plain)), "first", 3*time.Hour)
	undone := at(nodeRun(nodeAct(Uncordon, Done, cordoned, Step{Verb: Patch, Change: &NodeChange{Unschedulable: &off}})), "undone", 2*time.Hour)
	other := at(nodeRun(cordonAct(Done, plain)), "other", 3*time.Hour)
	other.Plan.Acts[0].Target.UID = "older"
	never := at(nodeRun(cordonAct(Rejected, plain)), "never", 3*time.Hour)
	later := at(nodeRun(cordonAct(Done, plain)), "later", 0)
	for name, tc := range map[string]struct {
		h       History
		earlier []History
		want    bool
	}{
		"the run cordoned it":                           {nodeRun(cordonAct(Done, plain), deleteAct(Done, cordoned)), nil, false},
		"it was cordoned by somebody":                   {nodeRun(deleteAct(Done, cordoned)), nil, true},
		"it was cordoned by a run that was cut off":     {nodeRun(deleteAct(Done, cordoned)), []History{first}, false},
		"that was taken back, and somebody cordoned":    {nodeRun(deleteAct(Done, cordoned)), []History{undone, first}, true},
		"the run cordoned an object of the name before": {nodeRun(deleteAct(Done, cordoned)), []History{other}, true},
		"the run did not get to cordon it":              {nodeRun(deleteAct(Done, cordoned)), []History{never}, true},
		"the run came after":                            {nodeRun(deleteAct(Done, cordoned)), []History{later}, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := SavedNode(tc.h, "w1", tc.earlier)
			if err != nil || n.Spec.Unschedulable != tc.want || n.Labels["disk"] != "ssd" {
				t.Errorf("%v %+v", err, n)
			}
		})
	}
	for name, h := range map[string]History{
		"no act on it": nodeRun(), "another object": nodeRun(deleteAct(Done, keptNodeOf(t, func(n *corev1.Node) { n.UID = "x" }))), "no Node": nodeRun(deleteAct(Done, kept(t))), "not JSON": nodeRun(deleteAct(Done, json.RawMessage(`{"`))),
	} {
		if n, err := SavedNode(h, "w1", nil); err == nil {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
