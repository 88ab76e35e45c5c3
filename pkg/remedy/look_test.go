package remedy

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// lookPod writes a pod of controller "kind/name", or none; extra goes into its metadata, and ready is the status of its condition Ready.
func lookPod(name, uid, controller, node, made, extra, ready string) string {
	owner := ""
	if kind, ctl, ok := strings.Cut(controller, "/"); ok {
		owner = fmt.Sprintf(", ownerReferences: [{apiVersion: apps/v1, kind: %s, name: %s, uid: %s-uid, controller: true}]", kind, ctl, ctl)
	}
	if extra != "" {
		extra = ", " + extra
	}
	conditions := ""
	if ready != "" {
		conditions = fmt.Sprintf("conditions: [{type: Ready, status: %q, lastTransitionTime: %q}], ", ready, made)
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop, uid: %s, resourceVersion: \"1\", creationTimestamp: %q, labels: {app: x}%s%s}\n"+
		"spec: {nodeName: %q, containers: [{name: c, image: i}]}\nstatus: {%sphase: Running}\n", name, uid, made, owner, extra, node, conditions)
}

const (
	lookOld    = "2026-03-01T08:00:00Z"
	lookNew    = "2026-03-01T10:00:05Z"
	lookGoing  = `deletionTimestamp: "2026-03-01T09:30:00Z", deletionGracePeriodSeconds: 30`
	lookWorker = "apiVersion: v1\nkind: Node\nmetadata: {name: w1}\n"
	lookSet    = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop, uid: db-uid}\nspec: {replicas: 2, selector: {matchLabels: {app: x}}}\n"
	lookRS     = "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web, namespace: shop, uid: web-uid}\nspec: {replicas: 2, selector: {matchLabels: {app: x}}}\n"
	lookDaemon = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent, namespace: shop, uid: agent-uid}\nspec: {selector: {matchLabels: {app: x}}}\n"
	lookJob    = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once, namespace: shop, uid: once-uid}\nspec: {selector: {matchLabels: {app: x}}}\n"
)

// lookSnapshot makes a picture: what is unread was not read; of a picture that is unread wholly ("*") nothing was.
func lookSnapshot(t testing.TB, now time.Time, unread []snapshot.Kind, docs ...string) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, d := range docs {
		var k struct{ Kind snapshot.Kind }
		if err := yaml.Unmarshal([]byte(d), &k); err != nil {
			t.Fatal(err)
		}
		obj := snapshot.New(k.Kind)
		if err := yaml.UnmarshalStrict([]byte(d), obj); err != nil {
			t.Fatalf("%v: %s", err, d)
		}
		if !b.Add(obj) {
			t.Fatalf("not taken: %s", d)
		}
	}
	for _, i := range snapshot.Kinds() {
		if !slices.Contains(unread, "*") && !slices.Contains(unread, i.Kind) {
			b.SetComplete(i.Kind, "")
		}
	}
	s, err := b.Build(now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// beforeOf is what is known before an act on the first pod of the documents.
func beforeOf(t testing.TB, name string, ids []ID, docs ...string) Before {
	t.Helper()
	s := lookSnapshot(t, guardTime(), nil, docs...)
	p := NewPicture(s, stuck.Find(s, stuck.Options{}), diagnose.Diagnosis{})
	c, ok := p.Case(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: name}, Asked{})
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return NewBefore(c, ids)
}

func TestLookSaysWhatIsProvenAndWhatIsNot(t *testing.T) {
	db0 := lookPod("db-0", "d0", "StatefulSet/db", "w1", lookOld, lookGoing, "")
	db1 := lookPod("db-1", "d1", "StatefulSet/db", "w1", lookOld, "", "True")
	web := lookPod("web-a", "wa", "ReplicaSet/web", "w1", lookOld, "", "False")
	sibling := lookPod("web-b", "wb", "ReplicaSet/web", "w2", lookOld, "", "True")
	agent := lookPod("agent-a", "aa", "DaemonSet/agent", "w1", lookOld, lookGoing, "")
	bare := lookPod("solo", "s", "", "w1", lookOld, lookGoing, "")
	force, del, fin := []ID{ForceDelete}, []ID{DeletePod}, []ID{RemoveFinalizers}
	for name, tc := range map[string]struct {
		pod           string
		ids           []ID
		before        []string
		after         []string
		unread        []snapshot.Kind
		gone, settled bool
		good          bool
		replacement   string // its UID
		says          []string
	}{
		"a bare pod that is gone": {pod: "solo", ids: force, before: []string{bare, lookWorker}, after: []string{lookWorker}, gone: true, settled: true, good: true,
			says: []string{"Pod shop/solo is gone.", "No replacement is to come: the pod has no controller.", "Nothing else on node w1 got stuck."}},
		"a bare pod that is there, held by finalizers alone": {pod: "solo", ids: fin, before: []string{bare, lookWorker},
			after: []string{lookPod("solo", "s", "", "w1", lookOld, `finalizers: [a.b/c], deletionTimestamp: "2026-03-01T09:30:00Z", deletionGracePeriodSeconds: 0`, ""), lookWorker},
			says:  []string{"is still there: nothing but finalizer a.b/c holds it."}},
		"a pod that is there, with its kubelet and finalizers": {pod: "solo", ids: fin, before: []string{bare, lookWorker},
			after: []string{lookPod("solo", "s", "", "w1", lookOld, `finalizers: [a.b/c], `+lookGoing, ""), lookWorker}, says: []string{"is still there, with finalizer a.b/c."}},
		"a pod whose kubelet has not finished": {pod: "solo", ids: del, before: []string{bare, lookWorker}, after: []string{bare, lookWorker}, says: []string{"its kubelet has not finished with it"}},
		"a pod that is not being deleted": {pod: "solo", ids: del, before: []string{bare, lookWorker}, after: []string{lookPod("solo", "s", "", "w1", lookOld, `finalizers: [a.b/c]`, ""), lookWorker},
			says: []string{"is still there, and is not being deleted."}},
		"a StatefulSet's pod, replaced under its name and Ready": {pod: "db-0", ids: force, before: []string{db0, db1, lookSet, lookWorker},
			after: []string{lookPod("db-0", "d9", "StatefulSet/db", "w2", lookNew, "", "True"), db1, lookSet, lookWorker},
			gone:  true, settled: true, good: true, replacement: "d9", says: []string{"Pod shop/db-0 is gone.", "Its replacement pod shop/db-0 is Ready on node w2"}},
		"a StatefulSet's pod, gone and not replaced yet": {pod: "db-0", ids: force, before: []string{db0, db1, lookSet, lookWorker}, after: []string{db1, lookSet, lookWorker},
			gone: true, says: []string{"No replacement is there yet."}},
		"a new pod of another ordinal is no replacement": {pod: "db-0", ids: force, before: []string{db0, lookSet, lookWorker},
			after: []string{lookPod("db-1", "d8", "StatefulSet/db", "w2", lookNew, "", "True"), lookSet, lookWorker}, gone: true},
		"a StatefulSet's pod, whose replacement is not Ready yet": {pod: "db-0", ids: force, before: []string{db0, db1, lookSet, lookWorker},
			after: []string{lookPod("db-0", "d9", "StatefulSet/db", "w2", lookNew, "", "False"), db1, lookSet, lookWorker}, gone: true, replacement: "d9", says: []string{"and not Ready yet."}},
		"a StatefulSet that was scaled to 0": {pod: "db-0", ids: force, before: []string{db0, strings.Replace(lookSet, "replicas: 2", "replicas: 0", 1), lookWorker}, after: []string{lookWorker},
			gone: true, settled: true, good: true, says: []string{"its StatefulSet is scaled to 0, without ordinal 0."}},
		"a StatefulSet that another has the name of": {pod: "db-0", ids: force, before: []string{db0, strings.Replace(lookSet, "db-uid", "else", 1), lookWorker}, after: []string{lookWorker},
			gone: true, settled: true, good: true, says: []string{"another has its name."}},
		"a ReplicaSet's pod, with a replacement that was not there": {pod: "web-a", ids: del, before: []string{web, sibling, lookRS, lookWorker},
			after: []string{sibling, lookPod("web-c", "wc", "ReplicaSet/web", "w2", lookNew, "", "True"), lookRS, lookWorker}, gone: true, settled: true, good: true, replacement: "wc"},
		"an older sibling is no replacement": {pod: "web-a", ids: del, before: []string{web, sibling, lookRS, lookWorker}, after: []string{sibling, lookRS, lookWorker},
			gone: true, says: []string{"No replacement is there yet."}},
		"an older sibling that was not read before is none either": {pod: "web-a", ids: del, before: []string{web, lookRS, lookWorker}, after: []string{sibling, lookRS, lookWorker},
			gone: true, says: []string{"No replacement is there yet."}},
		"a pod of another controller is no replacement": {pod: "web-a", ids: del, before: []string{web, lookRS, lookWorker},
			after: []string{lookPod("x", "x", "ReplicaSet/other", "w2", lookNew, "", "True"), lookRS, lookWorker}, gone: true},
		"a replacement that is being deleted is none": {pod: "web-a", ids: del, before: []string{web, lookRS, lookWorker},
			after: []string{lookPod("web-c", "wc", "ReplicaSet/web", "w2", lookNew, lookGoing, "True"), lookRS, lookWorker}, gone: true},
		"a Ready replacement counts before a newer one": {pod: "web-a", ids: del, before: []string{web, lookRS, lookWorker},
			after: []string{lookPod("web-c", "wc", "ReplicaSet/web", "w2", lookNew, "", "True"), lookPod("web-d", "wd", "ReplicaSet/web", "w2", "2026-03-01T10:00:09Z", "", "False"), lookRS, lookWorker},
			gone:  true, settled: true, good: true, replacement: "wc"},
		"a ReplicaSet that was scaled to 0": {pod: "web-a", ids: del, before: []string{web, strings.Replace(lookRS, "replicas: 2", "replicas: 0", 1), lookWorker}, after: []string{lookWorker},
			gone: true, settled: true, good: true, says: []string{"its ReplicaSet is scaled to 0."}},
		"a ReplicaSet whose pod was being deleted already made another": {pod: "web-a", ids: force, before: []string{lookPod("web-a", "wa", "ReplicaSet/web", "w1", lookOld, lookGoing, ""), sibling, lookRS, lookWorker},
			after: []string{sibling, lookRS, lookWorker}, gone: true, settled: true, good: true, says: []string{"its controller made another one"}},
		"a ReplicaSet that is gone": {pod: "web-a", ids: del, before: []string{web, lookWorker}, after: []string{lookWorker}, gone: true, settled: true, good: true, says: []string{"replicaset shop/web does not exist any more."}},
		"a DaemonSet's replacement is on its node": {pod: "agent-a", ids: force, before: []string{agent, lookDaemon, lookWorker},
			after: []string{lookPod("agent-x", "ax", "DaemonSet/agent", "w2", lookNew, "", "True"), lookPod("agent-b", "ab", "DaemonSet/agent", "w1", lookNew, "", "True"), lookDaemon, lookWorker},
			gone:  true, settled: true, good: true, replacement: "ab"},
		"a DaemonSet's pod on another node is none": {pod: "agent-a", ids: force, before: []string{agent, lookDaemon, lookWorker},
			after: []string{lookPod("agent-x", "ax", "DaemonSet/agent", "w2", lookNew, "", "True"), lookDaemon, lookWorker}, gone: true},
		"a DaemonSet makes none for a node that is gone": {pod: "agent-a", ids: force, before: []string{agent, lookDaemon}, after: []string{lookDaemon}, gone: true, settled: true, good: true,
			says: []string{"its node does not exist any more"}},
		"a Job need not make another": {pod: "once-a", ids: force, before: []string{lookPod("once-a", "oa", "Job/once", "w1", lookOld, lookGoing, ""), lookJob, lookWorker}, after: []string{lookJob, lookWorker},
			gone: true, settled: true, good: true, says: []string{"a Job makes another pod only while"}},
		"a controller of which nobody knows": {pod: "k-0", ids: force, before: []string{lookPod("k-0", "k0", "Kafka/k", "w1", lookOld, lookGoing, ""), lookWorker}, after: []string{lookWorker},
			gone: true, settled: true, good: true, says: []string{"its controller is a Kafka"}},
		"nothing was read": {pod: "db-0", ids: force, before: []string{db0, db1, lookSet, lookWorker}, unread: []snapshot.Kind{"*"},
			says: []string{"Whether pod shop/db-0 is gone could not be seen.", "Whether a replacement is there could not be seen.", "Whether anything else on node w1 got stuck could not be seen."}},
		"nothing was read of a bare pod": {pod: "solo", ids: force, before: []string{bare, lookWorker}, unread: []snapshot.Kind{"*"}, says: []string{"Whether pod shop/solo is gone could not be seen."}},
		"a pod gets stuck on the node that was not": {pod: "solo", ids: force, before: []string{bare, lookWorker}, after: []string{lookPod("other", "ot", "", "w1", lookOld, lookGoing, ""), lookWorker},
			gone: true, settled: true, says: []string{"Stuck on node w1 now and not before: pod shop/other."}},
	} {
		t.Run(name, func(t *testing.T) {
			b := beforeOf(t, tc.pod, tc.ids, tc.before...)
			s := lookSnapshot(t, guardTime().Add(30*time.Second), tc.unread, tc.after...)
			got := Look(b, s, stuck.Find(s, stuck.Options{}))
			if got.Gone != tc.gone || got.Settled != tc.settled || got.Good != tc.good {
				t.Errorf("gone %t, settled %t, good %t: %q", got.Gone, got.Settled, got.Good, got.Says)
			}
			if (got.Replacement != nil) != (tc.replacement != "") || got.Replacement != nil && string(got.Replacement.Ref.UID) != tc.replacement {
				t.Errorf("the replacement is %+v: %q", got.Replacement, got.Says)
			}
			sightSpeaks(t, got, tc.says...)
		})
	}
}

// sightSpeaks holds that a sight says so, in sentences.
func sightSpeaks(t *testing.T, got Sight, says ...string) {
	t.Helper()
	for _, w := range says {
		if !slices.ContainsFunc(got.Says, func(s string) bool { return strings.Contains(s, w) }) {
			t.Errorf("it does not say %q: %q", w, got.Says)
		}
	}
	if len(got.Says) == 0 {
		t.Error("it says nothing")
	}
	for _, s := range got.Says {
		if !strings.HasSuffix(s, ".") || strings.HasSuffix(s, "..") || strings.Contains(s, "%!") || strings.Contains(s, "  ") || s[0] >= 'a' && s[0] <= 'z' {
			t.Errorf("it is badly worded: %q", s)
		}
	}
}

func TestAReplacementThatIsStuckSettlesTheMatterAndIsNotGood(t *testing.T) {
	web := lookPod("web-a", "wa", "ReplicaSet/web", "w1", lookOld, "", "False")
	b := beforeOf(t, "web-a", []ID{DeletePod}, web, lookRS, lookWorker)
	fresh := lookPod("web-c", "wc", "ReplicaSet/web", "w2", lookNew, "", "False")
	s := lookSnapshot(t, guardTime().Add(10*time.Minute), nil, fresh, lookRS, lookWorker)
	got := Look(b, s, stuck.Result{Stuck: []stuck.Pod{{Ref: snapshot.RefOf(s.Pod("shop", "web-c")), Node: "w2", State: stuck.ContainerCreating, For: 5 * time.Minute}}})
	if !got.Gone || !got.Settled || got.Good || got.Replacement == nil || got.Replacement.Stuck == "" || len(got.NewlyStuck) > 0 {
		t.Errorf("got %+v", got)
	}
	sightSpeaks(t, got, "is not Ready on node w2: it is stuck in ContainerCreating for 5m")
}

func TestWhatWasStuckOnTheNodeBeforeIsNotNewlyStuck(t *testing.T) {
	b := Before{
		Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "solo", UID: "s"}, Node: "w1", Remedies: []ID{ForceDelete}, Because: "the pod has no controller",
		Stuck: []snapshot.Ref{{Kind: snapshot.Pod, Namespace: "shop", Name: "other", UID: "ot"}},
	}
	for uid, good := range map[string]bool{"ot": true, "another": false} { // of the same name
		s := lookSnapshot(t, guardTime(), nil, lookPod("other", uid, "", "w1", lookOld, lookGoing, ""), lookWorker)
		got := Look(b, s, stuck.Find(s, stuck.Options{}))
		if got.Good != good || (len(got.NewlyStuck) == 0) != good {
			t.Errorf("%s: %+v", uid, got)
		}
	}
}

func TestVolumesAreDetachedAttachedOrNotSeen(t *testing.T) {
	attachment := func(name, node string, attached bool) string {
		return fmt.Sprintf("apiVersion: storage.k8s.io/v1\nkind: VolumeAttachment\nmetadata: {name: %s}\nspec: {attacher: x, nodeName: %s, source: {persistentVolumeName: pv-1}}\nstatus: {attached: %t}\n", name, node, attached)
	}
	b := Before{Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "solo", UID: "s"}, Node: "w1", Volumes: []string{"pv-1"}, Remedies: []ID{ForceDelete}}
	for name, tc := range map[string]struct {
		docs               []string
		unread             []snapshot.Kind
		attached, detached int
		says               string
	}{
		"detached":                     {detached: 1, says: "PersistentVolume pv-1 is detached from node w1."},
		"detached, its object is left": {docs: []string{attachment("a", "w1", false)}, detached: 1, says: "is detached from node w1."},
		"attached":                     {docs: []string{attachment("a", "w1", true)}, attached: 1, says: "is still attached to node w1."},
		"attached elsewhere by now":    {docs: []string{attachment("b", "w2", true)}, detached: 1, says: "detached from node w1, and attached to node w2."},
		"not read":                     {unread: []snapshot.Kind{snapshot.VolumeAttachment}, says: "Whether pv-1 is still attached to node w1 could not be seen."},
	} {
		s := lookSnapshot(t, guardTime(), tc.unread, tc.docs...)
		got := Look(b, s, stuck.Result{})
		if len(got.Attached) != tc.attached || len(got.Detached) != tc.detached {
			t.Errorf("%s: %+v", name, got)
		}
		sightSpeaks(t, got, tc.says)
	}
}

func TestLookAfterAnUndo(t *testing.T) {
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "solo"}
	again := Before{Target: ref, Remedies: []ID{CreateAgain}}
	back := Before{Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "solo", UID: "s"}, Remedies: []ID{PutBack}}
	phase := func(to string) string {
		return strings.Replace(lookPod("solo", "new", "", "w1", lookNew, "", "False"), "phase: Running", "phase: "+to, 1)
	}
	for name, tc := range map[string]struct {
		b             Before
		docs          []string
		unread        []snapshot.Kind
		settled, good bool
		says          string
	}{
		"created again and Ready":              {b: again, docs: []string{lookPod("solo", "new", "", "w1", lookNew, "", "True")}, settled: true, good: true, says: "is there again, and Ready on node w1."},
		"created again and not Ready yet":      {b: again, docs: []string{phase("Pending")}, says: "and not Ready yet."},
		"created again and at its end":         {b: again, docs: []string{phase("Succeeded")}, settled: true, good: true, says: "ran to its end."},
		"created again and failed":             {b: again, docs: []string{phase("Failed")}, settled: true, says: "and failed"},
		"created again and deleted again":      {b: again, docs: []string{lookPod("solo", "new", "", "w1", lookNew, `deletionTimestamp: "2026-03-01T10:00:00Z", deletionGracePeriodSeconds: 30`, "True")}, settled: true, says: "is being deleted."},
		"created again and stuck":              {b: again, docs: []string{strings.Replace(lookPod("solo", "new", "", "w1", lookOld, "", "False"), "phase: Running", `startTime: "2026-03-01T08:00:00Z", phase: Pending`, 1)}, settled: true, says: "and not Ready: it is stuck in"},
		"not there":                            {b: again, says: "Pod shop/solo is not there."},
		"not read":                             {b: again, unread: []snapshot.Kind{"*"}, says: "could not be seen."},
		"its finalizers are back":              {b: back, docs: []string{lookPod("solo", "s", "", "w1", lookOld, "finalizers: [a.b/c]", "")}, settled: true, good: true, says: "is there, with finalizer a.b/c."},
		"it has none":                          {b: back, docs: []string{lookPod("solo", "s", "", "w1", lookOld, "", "")}, settled: true, says: "has no finalizers."},
		"it is being deleted":                  {b: back, docs: []string{lookPod("solo", "s", "", "w1", lookOld, "finalizers: [a.b/c], "+lookGoing, "")}, settled: true, says: "is being deleted."},
		"another pod has its name":             {b: back, docs: []string{lookPod("solo", "new", "", "w1", lookOld, "finalizers: [a.b/c]", "")}, settled: true, says: "is another pod now, with UID new."},
		"what had finalizers put on is gone":   {b: back, settled: true, says: "is not there."},
		"what had finalizers put on is unread": {b: back, unread: []snapshot.Kind{"*"}, says: "could not be seen."},
	} {
		t.Run(name, func(t *testing.T) {
			s := lookSnapshot(t, guardTime().Add(time.Minute), tc.unread, tc.docs...)
			got := Look(tc.b, s, stuck.Find(s, stuck.Options{}))
			if got.Settled != tc.settled || got.Good != tc.good {
				t.Errorf("settled %t, good %t: %q", got.Settled, got.Good, got.Says)
			}
			sightSpeaks(t, got, tc.says)
		})
	}
}

func TestLookingAtNothingProvesNothing(t *testing.T) {
	empty := lookSnapshot(t, guardTime(), []snapshot.Kind{"*"})
	for _, ids := range [][]ID{nil, {ForceDelete}, {PutBack}, {CreateAgain}} {
		for _, s := range []*snapshot.Snapshot{nil, empty} {
			got := Look(Before{Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "solo"}, Remedies: ids, Expects: true}, s, stuck.Result{Stuck: []stuck.Pod{{}}})
			if got.Good || got.Gone {
				t.Errorf("%v: %+v", ids, got)
			}
			sightSpeaks(t, got, "could not be seen")
		}
	}
	for _, b := range []Before{NewBefore(nil, nil), NewBefore(&Case{}, nil), NewBefore(&Case{S: empty}, nil), BeforeAct(nil, Act{}), BeforeAct(&Picture{}, Act{Remedies: []ID{PutBack}})} {
		if b.Expects {
			t.Errorf("it expects a replacement of nothing: %+v", b)
		}
		if got := Look(b, empty, stuck.Result{}); got.Good {
			t.Errorf("%+v", got)
		}
	}
}

// TestNoMutilatedObjectMakesTheLadderOrALookPanic takes each value out of the objects of the fixtures of rungs, and puts others in its place.
func TestNoMutilatedObjectMakesTheLadderOrALookPanic(t *testing.T) {
	paths, err := filepath.Glob(fixture("*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures found: %v", err)
	}
	all, n := causes.All(), 0
	for at, path := range paths {
		c, f, _ := caseOf(t, path, Asked{})
		want := NewBefore(c, []ID{ForceDelete})
		var objects []runtime.Object
		for _, i := range snapshot.Kinds() {
			objects = append(objects, f.Snapshot.Objects(i.Kind)...)
		}
		for i, o := range objects {
			raw, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			tried := at // each fixture begins elsewhere, so that they share the work
			mutilations(t, raw, func(what string, cut []byte) {
				if tried++; tried%mutilated != 0 {
					return
				}
				fresh := newLike(o)
				if fresh == nil || json.Unmarshal(cut, fresh) != nil {
					return // the API server would not have sent it
				}
				b := snapshot.NewBuilder()
				for j, other := range objects {
					if j == i {
						other = fresh
					}
					b.Add(other)
				}
				s, err := b.Build(f.Snapshot.Now())
				if err != nil {
					return
				}
				n++
				found := stuck.Find(s, stuck.Options{})
				p := NewPicture(s, found, diagnose.Run(s, found, all))
				for _, pod := range s.Pods() {
					k, ok := p.Case(snapshot.RefOf(pod), Asked{Force: true, Finalizers: true})
					if !ok {
						t.Fatalf("%s: %s: no case", path, what)
					}
					offered := 0
					for _, r := range Ladder(k) {
						if r.Offered {
							offered++
						}
						if r.Offered && (r.Blocked() || r.Help == NoHelp) {
							t.Errorf("%s: %s: %s is offered", path, what, r.ID)
						}
					}
					if offered > 1 {
						t.Errorf("%s: %s: %d rungs are offered", path, what, offered)
					}
					if got := Look(NewBefore(k, []ID{ForceDelete}), s, found); got.Good || len(got.Says) == 0 {
						t.Errorf("%s: %s: nothing was done, and it is good: %+v", path, what, got)
					}
				}
				if got := Look(want, s, found); len(got.Says) == 0 {
					t.Errorf("%s: %s: it says nothing", path, what)
				}
			})
		}
	}
	if n < 500 {
		t.Errorf("only %d were tried", n)
	}
}

// mutilated is how many of the mutilations are passed over for each that is tried: there are tens of thousands.
const mutilated = 9

// newLike is an empty object of the same type.
func newLike(o runtime.Object) runtime.Object {
	for _, i := range snapshot.Kinds() {
		if n := snapshot.New(i.Kind); n != nil && fmt.Sprintf("%T", n) == fmt.Sprintf("%T", o) {
			return n
		}
	}
	return nil
}

func TestWhatHelpsByItselfIsOfferedBeforeWhatDoesNot(t *testing.T) {
	if promise(Helps) != promise(MayHelp) || promise(MayHelp) <= promise(NotAlone) || promise(NotAlone) <= promise(NoHelp) || promise(NoHelp) != 0 {
		t.Error("the order of what is offered is another")
	}
}
