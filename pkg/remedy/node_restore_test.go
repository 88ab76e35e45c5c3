package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// restoreNode is the case of a node beside other objects.
func restoreNode(t testing.TB, node *corev1.Node, more ...runtime.Object) *NodeCase {
	t.Helper()
	name := "w1"
	if node != nil {
		name = node.Name
		more = append(more, node.DeepCopy())
	}
	return undoWorld{more: more}.picture(t).NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: name}, Asked{Restore: true}, nil)
}

// after is the node as it is when the plan was carried out, by the change that its one step says it makes.
func after(t testing.TB, node *corev1.Node, p Plan) *corev1.Node {
	t.Helper()
	if len(p.Acts) != 1 || len(p.Acts[0].Steps) != 1 || p.Acts[0].Steps[0].Change == nil {
		t.Fatalf("not one act with one change: %+v", p.Acts)
	}
	ch := p.Acts[0].Steps[0].Change
	out := node.DeepCopy()
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	if out.Annotations == nil {
		out.Annotations = map[string]string{}
	}
	maps.Copy(out.Labels, ch.AddLabels)
	maps.Copy(out.Annotations, ch.AddAnnotations)
	for k := range ch.RemoveLabels {
		delete(out.Labels, k)
	}
	for k := range ch.RemoveAnnotations {
		delete(out.Annotations, k)
	}
	out.Spec.Taints = slices.DeleteFunc(out.Spec.Taints, func(x corev1.Taint) bool {
		return slices.ContainsFunc(ch.RemoveTaints, func(r corev1.Taint) bool { return r.MatchTaint(&x) })
	})
	out.Spec.Taints = append(out.Spec.Taints, ch.AddTaints...)
	if ch.Unschedulable != nil {
		out.Spec.Unschedulable = *ch.Unschedulable
	}
	return out
}

func TestARestorePutsBackWhatWasLostAndLeavesTheRest(t *testing.T) {
	files, err := filepath.Glob("testdata/restore/*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d fixtures: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Saved, Now   corev1.Node
				Puts, Leaves []string
				Unproven     bool
			}
			if err := yaml.UnmarshalStrict(raw, &f); err != nil {
				t.Fatal(err)
			}
			plan, items, err := MakeRestore(restoreNode(t, &f.Now), &f.Saved, Cluster{ID: "c"})
			var puts, leaves []string
			for _, it := range items {
				if it.Why == "" {
					t.Errorf("%+v does not say why", it)
				}
				if it.Puts {
					puts = append(puts, it.Field+" "+it.Key)
				} else {
					leaves = append(leaves, it.Field+" "+it.Key)
				}
			}
			slices.Sort(f.Puts)
			slices.Sort(f.Leaves)
			slices.Sort(puts)
			slices.Sort(leaves)
			if !slices.Equal(puts, f.Puts) || !slices.Equal(leaves, f.Leaves) {
				t.Errorf("puts %q\nwants %q\nleaves %q\nwants %q\n%+v", puts, f.Puts, leaves, f.Leaves, items)
			}
			if len(f.Puts) == 0 {
				if !errors.Is(err, ErrNothingLeft) || len(plan.Acts) > 0 {
					t.Errorf("nothing is to be put back: %v %+v", err, plan.Acts)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			step := plan.Acts[0].Steps[0]
			unproven := slices.ContainsFunc(step.Change.AddTaints, func(x corev1.Taint) bool { return x == UnprovenTaint() })
			if unproven != f.Unproven || step.Ref.UID != f.Now.UID || len(step.Patch) == 0 || len(step.Kubectl) == 0 || !step.Undo.Can {
				t.Errorf("unproven %t: %+v", unproven, step)
			}
			for _, x := range step.Change.AddTaints {
				if x.TimeAdded != nil {
					t.Errorf("timeAdded is not ours to set: %+v", x)
				}
			}
			now := after(t, &f.Now, plan)
			if _, _, err := MakeRestore(restoreNode(t, now), &f.Saved, Cluster{}); !errors.Is(err, ErrNothingLeft) {
				t.Errorf("a second restore has something to do: %v", err)
			}
		})
	}
}

func TestARestoreIsRefusedWhereItIsNotKnownWhatIsThere(t *testing.T) {
	saved := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "old", Labels: map[string]string{"a": "b"}}}
	now := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "new", ResourceVersion: "1"}}
	other := saved.DeepCopy()
	other.Name = "w2"
	planned := restoreNode(t, now)
	planned.Planned = "older"
	unread := undoWorld{unread: []snapshot.Kind{snapshot.Node}}.picture(t).NodeCase(snapshot.Ref{Name: "w1"}, Asked{}, nil)
	for name, tc := range map[string]struct {
		c     *NodeCase
		saved *corev1.Node
		want  string
		is    error
	}{
		"another name":       {restoreNode(t, now), other, `is "w2", and not "w1"`, nil},
		"nothing saved":      {restoreNode(t, now), nil, "no saved Node", nil},
		"the node is gone":   {restoreNode(t, nil), saved, "does not exist", ErrNodeGone},
		"it was not read":    {unread, saved, "could not be read", nil},
		"it was replaced":    {planned, saved, "has UID new", ErrReplaced},
		"nothing is missing": {restoreNode(t, now), now, "still the object that was saved", ErrNothingLeft},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, err := MakeRestore(tc.c, tc.saved, Cluster{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) || len(p.Acts) > 0 {
				t.Errorf("%v %+v", err, p.Acts)
			}
		})
	}
}

func TestARestoreNamesThePodsThatATaintEvicts(t *testing.T) {
	saved := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "old"}, Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoExecute}}}}
	now := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "new", ResourceVersion: "1"}}
	stays := livePod()
	stays.Name, stays.UID = "stays", "s"
	stays.Spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
	p, _, err := MakeRestore(restoreNode(t, now, livePod(), stays), saved, Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	if l := strings.Join(p.Acts[0].Loses, "\n"); !strings.Contains(l, "pod shop/batch:") || strings.Contains(l, "stays") || p.Acts[0].Risk != "medium" {
		t.Errorf("%q %s", l, p.Acts[0].Risk)
	}
	saved.Spec.Taints[0].Effect = corev1.TaintEffectNoSchedule
	if p, _, err = MakeRestore(restoreNode(t, now, livePod(), stays), saved, Cluster{}); err != nil || len(p.Acts[0].Loses) > 0 || p.Acts[0].Risk != "low" {
		t.Errorf("NoSchedule evicts nobody: %v %+v", err, p.Acts)
	}
}

// TestARestoreAddsNoKeyThatIsOwnedAndOverwritesNone tries many pairs of nodes.
func TestARestoreAddsNoKeyThatIsOwnedAndOverwritesNone(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	keys := []string{"disk", "example.com/team", "node-role.kubernetes.io/db", "a b", "node-restriction.kubernetes.io/x", TaintUnproven, corev1.TaintNodeOutOfService, corev1.LastAppliedConfigAnnotation}
	for _, o := range ownedKeys() {
		key := o.key
		if strings.HasSuffix(key, "/") || strings.HasSuffix(key, ".") {
			key += "x"
		}
		keys = append(keys, key)
	}
	managers := []string{"kubelet", "kubectl-label", "kube-controller-manager", "stranger"}
	node := func(uid string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", ResourceVersion: "1", Labels: map[string]string{}, Annotations: map[string]string{}}}
		n.UID = "new"
		if uid != "" && r.Intn(5) > 0 {
			n.UID = "old"
		}
		fields := map[string]map[string]any{}
		for range r.Intn(12) {
			key, value := keys[r.Intn(len(keys))], fmt.Sprint(r.Intn(2))
			switch r.Intn(3) {
			case 0:
				n.Labels[key] = value
			case 1:
				n.Annotations[key] = value
			default:
				taint := corev1.Taint{Key: key, Value: value, Effect: []corev1.TaintEffect{"NoSchedule", "NoExecute"}[r.Intn(2)]}
				if !slices.ContainsFunc(n.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&taint) }) {
					n.Spec.Taints = append(n.Spec.Taints, taint)
				}
			}
			if fields[key] == nil && r.Intn(2) == 0 {
				m := managers[r.Intn(len(managers))]
				raw, err := json.Marshal(map[string]any{"f:metadata": map[string]any{"f:labels": map[string]any{"f:" + key: map[string]any{}}, "f:annotations": map[string]any{"f:" + key: map[string]any{}}}})
				if err != nil {
					t.Fatal(err)
				}
				e := metav1.ManagedFieldsEntry{Manager: m, FieldsV1: &metav1.FieldsV1{}}
				e.FieldsV1.SetRawBytes(raw)
				n.ManagedFields = append(n.ManagedFields, e)
			}
		}
		if r.Intn(3) == 0 {
			n.Spec.ProviderID = "aws:///i-1"
		}
		n.Spec.Unschedulable = r.Intn(2) == 0
		return n
	}
	put := 0
	for range 3000 {
		saved, now := node("old"), node("")
		p, _, err := MakeRestore(restoreNode(t, now), saved, Cluster{})
		if errors.Is(err, ErrNothingLeft) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		put++
		ch := p.Acts[0].Steps[0].Change
		if len(ch.RemoveLabels)+len(ch.RemoveAnnotations)+len(ch.RemoveTaints) > 0 || ch.Unschedulable != nil && !*ch.Unschedulable {
			t.Fatalf("a restore removes nothing: %+v", ch)
		}
		owned := func(field, key string) {
			if o, is := in(ownedKeys(), field, key); is && o.always {
				t.Fatalf("%s %s is %s's", field, key, o.owner)
			} else if is && len(saved.ManagedFields) == 0 && (!o.cloud || saved.Spec.ProviderID != "" || now.Spec.ProviderID != "") {
				t.Fatalf("%s %s is %s's, and nothing says that a person set it", field, key, o.owner)
			}
		}
		for field, pair := range map[string][3]map[string]string{fieldLabel: {ch.AddLabels, now.Labels, saved.Labels}, fieldAnnotation: {ch.AddAnnotations, now.Annotations, saved.Annotations}} {
			for k, v := range pair[0] {
				owned(field, k)
				if _, there := pair[1][k]; there || pair[2][k] != v {
					t.Fatalf("%s %s=%s: now %v, saved %v", field, k, v, pair[1], pair[2])
				}
			}
		}
		for _, x := range ch.AddTaints {
			if x == UnprovenTaint() {
				continue
			}
			owned(fieldTaint, x.Key)
			if x.Key == corev1.TaintNodeOutOfService || slices.ContainsFunc(now.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&x) }) {
				t.Fatalf("taint %+v over %+v", x, now.Spec.Taints)
			}
		}
		if _, _, err := MakeRestore(restoreNode(t, after(t, now, p)), saved, Cluster{}); !errors.Is(err, ErrNothingLeft) {
			t.Fatalf("a second restore has something to do: %v\n%+v\n%+v", err, saved, now)
		}
	}
	if put < 500 {
		t.Fatalf("only %d pairs had something to put back", put)
	}
}

func TestAProbeThatPassedTakesOurTaintOff(t *testing.T) {
	saved := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "old"}, Spec: corev1.NodeSpec{Unschedulable: true}}
	node := func(ready corev1.ConditionStatus, taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "new", ResourceVersion: "1"}, Spec: corev1.NodeSpec{Unschedulable: true, Taints: taints},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
		}
	}
	lease := func(age time.Duration) *coordinationv1.Lease {
		seconds, at := int32(40), metav1.NewMicroTime(guardTime().Add(-age))
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "w1"}, Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &seconds, RenewTime: &at}}
	}
	mine := corev1.Taint{Key: TaintUnproven, Effect: corev1.TaintEffectNoSchedule}
	theirs := corev1.Taint{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}
	off := OutOfServiceTaint()
	for name, tc := range map[string]struct {
		node  *corev1.Node
		lease *coordinationv1.Lease
		want  []corev1.Taint
	}{
		"ours goes and others stay":                      {node(corev1.ConditionTrue, theirs, mine), lease(time.Second), []corev1.Taint{mine}},
		"out of service goes where the node is back":     {node(corev1.ConditionTrue, off, mine), lease(time.Second), []corev1.Taint{off, mine}},
		"and not where it is not Ready":                  {node(corev1.ConditionFalse, off, mine), lease(time.Second), []corev1.Taint{mine}},
		"nor where its lease is old":                     {node(corev1.ConditionTrue, off, mine), lease(5 * time.Minute), []corev1.Taint{mine}},
		"nothing is left where none of the two is there": {node(corev1.ConditionTrue, theirs), lease(time.Second), nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := MakeProve(restoreNode(t, tc.node, tc.lease), saved, Cluster{})
			if tc.want == nil {
				if !errors.Is(err, ErrNothingLeft) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ch := p.Acts[0].Steps[0].Change
			if !slices.Equal(ch.RemoveTaints, tc.want) || ch.Unschedulable != nil || len(ch.AddTaints) > 0 {
				t.Errorf("%+v", ch)
			}
			if !strings.Contains(p.Acts[0].Why, "stays cordoned, as it was") {
				t.Errorf("%q", p.Acts[0].Why)
			}
		})
	}
	wrong := saved.DeepCopy()
	wrong.Name = "w2"
	if _, err := MakeProve(restoreNode(t, node(corev1.ConditionTrue, mine)), wrong, Cluster{}); err == nil {
		t.Error("a saved node of another name was taken")
	}
}
