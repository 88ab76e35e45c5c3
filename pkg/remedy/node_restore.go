package remedy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// leaseFresh is the age up to which a lease shows that its kubelet lives: the kubelet's own nodeLeaseDurationSeconds, 40s by default, which it renews four
// times in (pkg/kubelet/apis/config/v1beta1/defaults.go; component-helpers/apimachinery/lease).
const leaseFresh = 40 * time.Second

// UnprovenTaint is the taint that keeps pods from a node that came back until its probe has passed.
func UnprovenTaint() corev1.Taint {
	return corev1.Taint{Key: TaintUnproven, Effect: corev1.TaintEffectNoSchedule}
}

// MakeRestore plans that a Node object gets back what it lost: labels, taints, annotations and being cordoned, of saved, which is the object as it was
// before it was drained. It compares saved, the object now, and what kubelets, controllers and agents own. It puts a key where there is none, and leaves one
// that has another value by now, and what its owner sets again by itself; the items say all of that. What is put back on a new object comes with
// UnprovenTaint, which MakeProve takes off. The error is ErrNothingLeft where nothing is to be put back; the items say why then too.
func MakeRestore(c *NodeCase, saved *corev1.Node, cluster Cluster) (Plan, []RestoreItem, error) {
	plan, err := c.nodePlan(saved, cluster)
	if err != nil {
		return plan, nil, err
	}
	if saved == nil {
		return plan, nil, errors.New("there is no saved Node to restore from")
	}
	r := restoring{saved: saved, now: c.Node, managers: managersOf(saved.ManagedFields), same: saved.UID != "" && saved.UID == c.Node.UID}
	r.cordon()
	r.keys(fieldLabel, saved.Labels, c.Node.Labels, &r.change.AddLabels)
	r.taints()
	r.keys(fieldAnnotation, saved.Annotations, c.Node.Annotations, &r.change.AddAnnotations)
	if r.change.Empty() {
		why := "everything that it lost is there again, or is not this tool's to put back"
		if len(r.items) == 0 {
			why = "it has all that the saved one had"
		}
		if r.same {
			why = "it is still the object that was saved; " + why
		}
		return plan, r.items, fmt.Errorf("node %s: %s: %w", c.Ref.Name, why, ErrNothingLeft)
	}
	puts := r.change
	if !r.same {
		r.change.AddTaints = append(slices.Clone(r.change.AddTaints), UnprovenTaint())
	}
	step, err := c.nodeStep(r.change)
	if err != nil {
		return plan, r.items, fmt.Errorf("node %s: %w", c.Ref.Name, err)
	}
	step.What = fmt.Sprintf("put %s back on node %s", puts.counted(), c.Ref.Name)
	if !r.same {
		step.What += fmt.Sprintf(", with taint %s:%s until its probe has passed", TaintUnproven, corev1.TaintEffectNoSchedule)
	}
	step.Kubectl = step.Change.kubectl(c.Ref.Name)
	step.Undo = Undo{Can: true, How: "what it added is taken off again, where nobody has changed it"}
	act := Act{
		Target: c.Ref, Node: c.Ref.Name, Remedies: []ID{RestoreNode}, Risk: diagnose.RiskLow, Help: Helps, Steps: []Step{step},
		Why: "nobody else puts these back: they were lost with the old Node object",
	}
	if r.same {
		act.Why = "they are gone from the object since it was saved"
	}
	if leave := c.evictedBy(step.Change.AddTaints); len(leave) > 0 {
		act.Risk = diagnose.RiskMedium
		act.Loses = append(act.Loses, fmt.Sprintf("%s: deleted from the node, because a taint with effect NoExecute comes back that they do not tolerate for good", some(leave)))
	}
	act.Verdicts = JudgeNode(c, RestoreNode)
	plan.Acts = []Act{act}
	if c.Picture != nil {
		plan.Verdicts = JudgeRun(&Run{Picture: c.Picture, Asked: c.Asked})
	}
	return plan, r.items, nil
}

// MakeProve plans that a node takes pods again after its probe has passed: it takes UnprovenTaint off, and, where the node is Ready with a fresh lease, the
// taint of a node that is out of service too. A node that was cordoned before it was drained stays so: MakeRestore cordoned it, and this uncordons none.
// saved may be nil. The error is ErrNothingLeft where the node has neither taint.
func MakeProve(c *NodeCase, saved *corev1.Node, cluster Cluster) (Plan, error) {
	plan, err := c.nodePlan(saved, cluster)
	if err != nil {
		return plan, err
	}
	var change NodeChange
	var names []string
	inService := false
	for _, t := range c.Node.Spec.Taints {
		switch {
		case t.Key == TaintUnproven:
		case t.Key == corev1.TaintNodeOutOfService && c.back():
			inService = true
		default:
			continue
		}
		change.RemoveTaints = append(change.RemoveTaints, t)
		names = append(names, fmt.Sprintf("%s:%s", t.Key, t.Effect))
	}
	step, err := c.nodeStep(change)
	if err != nil {
		return plan, fmt.Errorf("node %s has no taint that its probe would take off: %w", c.Ref.Name, err)
	}
	step.What = fmt.Sprintf("take %s off node %s, whose probe passed", listed(names), c.Ref.Name)
	step.Kubectl = step.Change.kubectl(c.Ref.Name)
	step.Undo = Undo{Can: true, How: fmt.Sprintf("taint %s is set again, which keeps new pods away; %s is not", TaintUnproven, corev1.TaintNodeOutOfService)}
	act := Act{Target: c.Ref, Node: c.Ref.Name, Remedies: []ID{ProveNode}, Risk: diagnose.RiskLow, Help: Helps, Why: "a pod ran on it from beginning to end", Steps: []Step{step}}
	switch {
	case c.Node.Spec.Unschedulable && saved != nil && saved.Spec.Unschedulable:
		act.Why += "; the node stays cordoned, as it was before it was drained"
	case c.Node.Spec.Unschedulable:
		act.Why += "; the node stays cordoned, which this does not change"
	}
	act.Verdicts = JudgeNode(c, ProveNode)
	if inService {
		for _, v := range JudgeNode(c, InService) {
			if !slices.ContainsFunc(act.Verdicts, func(o Verdict) bool { return o.Guard == v.Guard && o.Reason == v.Reason }) {
				act.Verdicts = append(act.Verdicts, v)
			}
		}
		act.Verdicts = sorted(act.Verdicts)
	}
	plan.Acts = []Act{act}
	if c.Picture != nil {
		plan.Verdicts = JudgeRun(&Run{Picture: c.Picture, Asked: c.Asked})
	}
	return plan, nil
}

// nodePlan is an empty plan for the node as it is now, or why there can be none. A saved Node has to be of the same name.
func (c *NodeCase) nodePlan(saved *corev1.Node, cluster Cluster) (Plan, error) {
	plan := Plan{APIVersion: APIVersion, Kind: KindPlan, Made: c.S.Now(), Expires: c.S.Now().Add(Lifetime), Cluster: cluster, Asked: c.Asked}
	switch {
	case saved != nil && saved.Name != c.Ref.Name:
		return plan, fmt.Errorf("the saved Node is %q, and not %q", saved.Name, c.Ref.Name)
	case c.Node == nil && c.Facts.Exists == snapshot.Absent:
		return plan, fmt.Errorf("node %s: %w; its kubelet makes it again when it starts", c.Ref.Name, ErrNodeGone)
	case c.Node == nil:
		return plan, fmt.Errorf("node %s could not be read", c.Ref.Name)
	case c.Planned != "" && c.Planned != c.Node.UID:
		return plan, fmt.Errorf("node %s has UID %s, and was to be %s: %w", c.Ref.Name, c.Node.UID, c.Planned, ErrReplaced)
	}
	return plan, nil
}

// back tells whether the node is Ready and its kubelet renews its lease.
func (c *NodeCase) back() bool {
	return nodeReady(c.Node) && c.Facts.LeaseAge >= 0 && c.Facts.LeaseAge <= leaseFresh && !c.Facts.LeaseStale && !c.Facts.NoLease
}

// evictedBy names the pods of the node that the taint eviction controller would delete.
func (c *NodeCase) evictedBy(taints []corev1.Taint) []string {
	var out []string
	for _, p := range c.Pods {
		pod := p.Case.Pod.Object
		if p.Fate != Remains && p.Fate != Finished && slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute && !toleratesForGood(pod, t) }) {
			out = append(out, "pod "+pod.Namespace+"/"+pod.Name)
		}
	}
	return out
}

// restoring compares a saved Node with the one there is.
type restoring struct {
	saved, now *corev1.Node
	managers   map[string][]string
	same       bool // it is the very object that was saved
	change     NodeChange
	items      []RestoreItem
}

func (r *restoring) cordon() {
	was, is := r.saved.Spec.Unschedulable, r.now.Spec.Unschedulable
	if was == is {
		return
	}
	it := RestoreItem{Field: fieldCordon}
	switch {
	case is:
		it.Now, it.Why = "cordoned", "it was cordoned since: kubectl uncordon ends that"
	case r.same:
		it.Saved, it.Why = "cordoned", "somebody uncordoned it since"
	default:
		it.Saved, it.Puts, it.Why = "cordoned", true, "it was cordoned before it was drained"
		on := true
		r.change.Unschedulable = &on
	}
	r.items = append(r.items, it)
}

func (r *restoring) keys(field string, saved, now map[string]string, into *map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(saved)) {
		was := saved[key]
		is, there := now[key]
		if there && is == was || key == corev1.LastAppliedConfigAnnotation {
			continue // the snapshot does not hold the last, which kubectl apply writes anew
		}
		it := RestoreItem{Field: field, Key: key, Saved: was, Now: is}
		if there {
			it.Why = "it has another value by now, which is left"
		} else {
			r.judge(&it)
		}
		if it.Puts {
			put(into, key, was)
		}
		r.items = append(r.items, it)
	}
}

func (r *restoring) taints() {
	for _, t := range r.saved.Spec.Taints {
		it := RestoreItem{Field: fieldTaint, Key: t.Key, Saved: effectOf(t)}
		i := slices.IndexFunc(r.now.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&t) })
		again := slices.ContainsFunc(r.change.AddTaints, func(o corev1.Taint) bool { return o.MatchTaint(&t) })
		switch {
		case i >= 0 && r.now.Spec.Taints[i].Value == t.Value:
			continue
		case i >= 0:
			it.Now, it.Why = effectOf(r.now.Spec.Taints[i]), "it has another value by now, which is left"
		case t.Key == TaintUnproven:
			it.Why, it.Owner = "it is this tool's own, and speaks of an earlier return of the node", "kubectl stuck"
		case t.Key == corev1.TaintNodeOutOfService:
			it.Why = "it says that the machine is off, and the node came back; --out-of-service sets it, with its guards"
		case again:
			it.Why = "the saved Node has a taint of this key and effect twice, which no API server allows"
		default:
			r.judge(&it)
			if why := unfitTaint(t); it.Puts && why != "" {
				it.Puts, it.Why = false, why
			}
		}
		if it.Puts {
			r.change.AddTaints = append(r.change.AddTaints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect}) // timeAdded is the API server's
		}
		r.items = append(r.items, it)
	}
}

// judge decides on a key that the node does not have any more.
func (r *restoring) judge(it *RestoreItem) {
	managers := r.managers[it.Field+"/"+it.Key]
	owned, isOwned := in(ownedKeys(), it.Field, it.Key)
	if isOwned && owned.cloud && r.saved.Spec.ProviderID == "" && r.now.Spec.ProviderID == "" {
		isOwned = false
	}
	lost, isLost := in(lostKeys(), it.Field, it.Key)
	stranger := func(m string) bool { return !agent(m) && !person(m) }
	switch i := slices.IndexFunc(managers, person); {
	case isOwned && owned.always:
		it.Owner, it.Why = owned.owner, owned.why
	case isLost:
		it.Puts, it.Why = true, lost.why
	case i >= 0:
		it.Puts, it.Why = true, fmt.Sprintf("it was set with %s, and nobody sets it again", managers[i])
	case len(managers) > 0 && !slices.ContainsFunc(managers, stranger):
		it.Owner, it.Why = managers[0], fmt.Sprintf("%s set it, and sets it again where it still wants to", listed(managers))
	case isOwned:
		it.Owner, it.Why = owned.owner, owned.why
	case it.Field == fieldAnnotation && len(managers) > 0:
		it.Owner = managers[0]
		it.Why = fmt.Sprintf("%s set it, of which this tool does not know whether it is true of the new object; kubectl annotate sets it by hand", listed(managers))
	case it.Field == fieldAnnotation:
		it.Why = "who set it is not known: the saved Node has no managedFields for it; kubectl annotate sets it by hand"
	case len(managers) > 0:
		it.Puts, it.Why = true, fmt.Sprintf("%s set it, and is not known to set it again by itself", listed(managers))
	default:
		it.Puts, it.Why = true, "no kubelet, cloud or controller is known to set it"
	}
	if r.same && it.Puts {
		it.Why += "; it was taken off the object since it was saved"
	}
	if why := unfitKey(it.Field, it.Key, it.Saved); it.Puts && why != "" {
		it.Puts, it.Why = false, why
	}
}

// unfitKey says why the API server would refuse a label or annotation, and the whole patch with it; empty where it would not.
func unfitKey(field, key, value string) string {
	name := key
	if field == fieldAnnotation {
		name = strings.ToLower(key) // apimachinery/pkg/api/validation ValidateAnnotations
	}
	bad := validation.IsQualifiedName(name)
	if field == fieldLabel {
		bad = append(bad, validation.IsValidLabelValue(value)...)
	}
	if len(bad) > 0 {
		return "no API server takes it: " + bad[0]
	}
	return ""
}

func unfitTaint(t corev1.Taint) string {
	if bad := validation.IsValidLabelValue(t.Value); len(bad) > 0 {
		return "no API server takes it: " + bad[0]
	}
	if !slices.Contains([]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}, t.Effect) {
		return fmt.Sprintf("no API server takes it: effect %q", t.Effect)
	}
	return ""
}

// effectOf is a taint without its key, as kubectl writes it.
func effectOf(t corev1.Taint) string {
	if t.Value == "" {
		return string(t.Effect)
	}
	return t.Value + ":" + string(t.Effect)
}

// counted says in a few words what a change adds.
func (c *NodeChange) counted() string {
	var out []string
	number := func(n int, one string) {
		switch {
		case n == 1:
			out = append(out, "1 "+one)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %ss", n, one))
		}
	}
	number(len(c.AddLabels), fieldLabel)
	number(len(c.AddTaints), fieldTaint)
	number(len(c.AddAnnotations), fieldAnnotation)
	if c.Unschedulable != nil && *c.Unschedulable {
		out = append(out, "its cordon")
	}
	return listed(out)
}

// kubectl is the same as kubectl commands. Without --overwrite they too put nothing where something is.
func (c *NodeChange) kubectl(node string) []string {
	var out []string
	words := func(verb string, add, remove map[string]string) {
		line := ""
		for _, k := range slices.Sorted(maps.Keys(add)) {
			line += " " + quote(k+"="+add[k])
		}
		for _, k := range slices.Sorted(maps.Keys(remove)) {
			line += " " + quote(k+"-")
		}
		if line != "" {
			out = append(out, "kubectl "+verb+" "+quote(node)+line)
		}
	}
	if c.Unschedulable != nil {
		verb := "uncordon"
		if *c.Unschedulable {
			verb = "cordon"
		}
		out = append(out, "kubectl "+verb+" "+quote(node))
	}
	// Taints go on before labels: labels bring pods.
	line := ""
	for _, t := range c.AddTaints {
		word := t.Key + ":" + string(t.Effect)
		if t.Value != "" {
			word = t.Key + "=" + effectOf(t)
		}
		line += " " + quote(word)
	}
	for _, t := range c.RemoveTaints {
		line += " " + quote(t.Key+":"+string(t.Effect)+"-")
	}
	if line != "" {
		out = append(out, "kubectl taint nodes "+quote(node)+line)
	}
	words("label node", c.AddLabels, c.RemoveLabels)
	words("annotate node", c.AddAnnotations, c.RemoveAnnotations)
	return out
}
