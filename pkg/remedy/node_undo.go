package remedy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// guardKubeletReturns tells what becomes of a Node object that is created without its kubelet.
const guardKubeletReturns = "kubelet-returns"

// errWithNode says of an act on a Node object that it went with the object: there is nothing of it to take back.
var errWithNode = errors.New("it went with the Node object that was deleted")

// errNotDone says that nothing of an act was done.
var errNotDone = errors.New("nothing of it was done")

// madeAgainError says that a pod's controller makes another one.
type madeAgainError struct{ error }

// DeletesNode tells whether a run deleted the Node, or may have: the call was sent, and its answer was never written down.
func (h History) DeletesNode(name string) bool {
	acts := h.Plan.Acts
	return slices.ContainsFunc(h.Steps(), func(s StepStory) bool {
		return (s.Status == Done || s.Status == Open) && s.Plan != nil && s.Plan.Verb == Delete && s.Act < len(acts) &&
			acts[s.Act].Target.Kind == snapshot.Node && (name == "" || acts[s.Act].Target.Name == name)
	})
}

// aboutNode tells whether a run was about a node, with its pods.
func (h History) aboutNode() bool {
	return slices.ContainsFunc(h.Plan.Acts, func(a Act) bool { return a.Target.Kind == snapshot.Node })
}

// SavedNode is the Node as it was before the run touched it: the object of its first act on it. Where the run found it cordoned by an earlier run of this
// tool, that was interrupted, it is not cordoned in what is returned; earlier are the runs that may have done that, and may be none.
func SavedNode(h History, name string, earlier []History) (*corev1.Node, error) {
	for i, act := range h.Plan.Acts {
		if act.Target.Kind != snapshot.Node || act.Target.Name != name || i >= len(h.Objects) {
			continue
		}
		node, err := nodeOf(h.Objects[i])
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", h.ID, err)
		}
		if node.Name != name || act.Target.UID != "" && node.UID != "" && node.UID != act.Target.UID {
			return nil, fmt.Errorf("run %s: what it kept is not that Node", h.ID)
		}
		if node.Spec.Unschedulable && cordonedBy(h, node, earlier) {
			node.Spec.Unschedulable = false
		}
		return node, nil
	}
	return nil, fmt.Errorf("run %s kept no Node %q", h.ID, name)
}

// cordonedBy tells whether the last run before h that cordoned or uncordoned this very object cordoned it, and found it not cordoned.
func cordonedBy(h History, node *corev1.Node, earlier []History) bool {
	var last *Act
	var at *History
	for i := range earlier {
		e := &earlier[i]
		if e.ID == h.ID || !e.Time.Before(h.Time) || at != nil && e.Time.Before(at.Time) {
			continue
		}
		for _, s := range e.Steps() {
			if s.Status != Done && s.Status != Open || s.Plan == nil || s.Plan.Change == nil || s.Plan.Change.Unschedulable == nil || s.Act >= len(e.Plan.Acts) {
				continue
			}
			if a := &e.Plan.Acts[s.Act]; a.Target.Kind == snapshot.Node && a.Target.UID == node.UID && node.UID != "" {
				last, at = a, e
			}
		}
	}
	return last != nil && slices.Contains(last.Remedies, Cordon)
}

// nodeOf reads a Node that was kept.
func nodeOf(raw json.RawMessage) (*corev1.Node, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, errors.New("the Node as it was is not kept")
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(raw, &kind); err != nil {
		return nil, fmt.Errorf("the Node that was kept cannot be read: %w", err)
	}
	if kind.Kind != string(snapshot.Node) || kind.APIVersion != corev1.SchemeGroupVersion.String() {
		return nil, fmt.Errorf("what was kept is a %s (%s), and no Node", orNone(kind.Kind), orNone(kind.APIVersion))
	}
	node := &corev1.Node{}
	if err := json.Unmarshal(raw, node); err != nil {
		return nil, fmt.Errorf("the Node that was kept cannot be read: %w", err)
	}
	if node.Name == "" {
		return nil, errors.New("the Node that was kept has no name")
	}
	return node, nil
}

// NodeManifest is what of a Node that was kept can be created. managed keeps managedFields, which tell a later restore who set what; an API server takes
// them on a creation too. Left out is what others set:
//   - all of metadata but name, labels, annotations and finalizers; annotations that agents own, and status;
//   - podCIDR and podCIDRs: they were given free when the old object went, and may be another node's by now; the allocator gives new ones to a Node without
//     (pkg/controller/nodeipam/ipam/range_allocator.go ReleaseCIDR, AllocateOrOccupyCIDR);
//   - taints that a component owns: they follow what it sees of the node; that of a node that is out of service, which somebody said of the machine as it was
//     then, and which takes all pods from one that runs: --out-of-service sets it, with its guards; configSource, which no API server takes (pkg/registry/core/node dropDisabledFields).
//
// providerID stays: the kubelet of a node with an external cloud provider does not set it, and without it the cloud controller cannot find the machine.
// Labels stay all: the cloud controller sets its own only on a Node that a kubelet registered.
func NodeManifest(raw json.RawMessage, managed bool) (json.RawMessage, error) {
	node, err := nodeOf(raw)
	if err != nil {
		return nil, err
	}
	return cleanedNode(raw, node, managed)
}

// cleanedNode is the manifest of a Node. Whether it is cordoned is as in node; fields that this version does not know stay as in raw.
func cleanedNode(raw json.RawMessage, node *corev1.Node, managed bool) (json.RawMessage, error) {
	var whole struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("the Node that was kept cannot be read: %w", err)
	}
	spec := map[string]any{}
	for k, v := range whole.Spec {
		if !slices.Contains([]string{"podCIDR", "podCIDRs", "configSource", "externalID", "taints", "unschedulable"}, k) {
			spec[k] = v
		}
	}
	if node.Spec.Unschedulable {
		spec["unschedulable"] = true
	}
	taints := slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(t corev1.Taint) bool {
		_, owned := in(ownedKeys(), fieldTaint, t.Key)
		return owned || t.Key == corev1.TaintNodeOutOfService
	})
	if len(taints) > 0 {
		spec["taints"] = taints
	}
	meta := map[string]any{"name": node.Name}
	if len(node.Labels) > 0 {
		meta["labels"] = node.Labels
	}
	notes := map[string]string{}
	for k, v := range node.Annotations {
		if o, owned := in(ownedKeys(), fieldAnnotation, k); !owned || !o.always {
			notes[k] = v
		}
	}
	if len(notes) > 0 {
		meta["annotations"] = notes
	}
	if keep := lasting(node.Finalizers); len(keep) > 0 {
		meta["finalizers"] = keep
	}
	if managed && len(node.ManagedFields) > 0 {
		meta["managedFields"] = node.ManagedFields
	}
	obj := map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": meta}
	if len(spec) > 0 {
		obj["spec"] = spec
	}
	out, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("the Node that was kept cannot be written: %w", err)
	}
	return out, nil
}

// node plans the way back of one act on a Node.
func (u undoing) node() (Act, error) {
	t := u.old.Target
	if t.Name == "" || t.Namespace != "" || t.UID == "" {
		return Act{}, errors.New("its journal does not name a Node with its UID")
	}
	done, open := 0, 0
	for _, s := range u.steps {
		switch s.Status {
		case Done:
			done++
		case Open:
			open++
		}
	}
	deletes := slices.ContainsFunc(u.steps, func(s StepStory) bool { return s.Plan != nil && s.Plan.Verb == Delete })
	now := u.p.S.Node(t.Name)
	has := u.p.S.Has(snapshot.Node, "", t.Name)
	switch {
	case done+open == 0 && slices.ContainsFunc(u.steps, func(s StepStory) bool { return s.Status == Already }):
		return Act{}, errors.New("somebody else had done it before: it is not this tool's to take back")
	case done+open == 0:
		return Act{}, errNotDone
	case !deletes && u.h.DeletesNode(t.Name) && (now == nil || now.UID != t.UID):
		return Act{}, errWithNode
	case now != nil && now.UID != t.UID && deletes:
		return Act{}, fmt.Errorf("it exists again (UID %s, made %s): `kubectl stuck node %s --restore` puts back what it lost", now.UID, now.CreationTimestamp.UTC().Format("2006-01-02 15:04:05"), quote(t.Name))
	case now != nil && now.UID != t.UID:
		return Act{}, fmt.Errorf("it is another Node object now (UID %s): what was changed went with the old one", now.UID)
	case now != nil && now.DeletionTimestamp != nil:
		return Act{}, errors.New("it is being deleted: no call ends that")
	case now != nil && deletes:
		return Act{}, errors.New("it is still there: the deletion was not done, or not seen")
	case now != nil && done == 0:
		return Act{}, errors.New("whether it was done is not known: the call was sent, and no answer was written down")
	case now != nil:
		return u.nodeBack(now)
	case deletes:
		return u.createNode(has, open > 0 && done == 0)
	case has == snapshot.Absent:
		return Act{}, fmt.Errorf("%w since then", ErrNodeGone)
	default:
		return Act{}, errors.New("it could not be read")
	}
}

// nodeBack plans the opposite of a change of a Node, as far as nobody else changed it since.
func (u undoing) nodeBack(now *corev1.Node) (Act, error) {
	var was NodeChange
	for _, s := range u.steps {
		if s.Status == Done && s.Plan != nil && s.Plan.Verb == Patch && s.Plan.Change != nil {
			was = *s.Plan.Change
		}
	}
	id := RestoreNode
	if len(u.old.Remedies) > 0 {
		id = u.old.Remedies[0]
	}
	asked := Asked{}
	change, back := NodeChange{}, id
	var act Act
	switch id {
	case Cordon, RestoreNode:
		if was.Unschedulable != nil && *was.Unschedulable {
			off := false
			change.Unschedulable = &off
		}
		change.RemoveLabels, change.RemoveAnnotations = was.AddLabels, was.AddAnnotations
		change.RemoveTaints = unchanged(was.AddTaints, now.Spec.Taints)
		back = Uncordon
		if id == RestoreNode {
			back = RestoreNode
		}
		act.Risk, act.Why = diagnose.RiskLow, "the node is the object that the run changed"
	case OutOfService:
		back, asked.InService = InService, true
		change.RemoveTaints = unchanged(was.AddTaints, now.Spec.Taints)
		act.Risk, act.Why = diagnose.RiskLow, "pods may be scheduled to the node again, and what went does not come back"
	case InService:
		back, asked.OutOfService = OutOfService, true
		change.AddTaints = was.RemoveTaints
		act.Risk, act.Why = diagnose.RiskDataLoss, "the taint is set again: pods that do not tolerate it are deleted, and their volumes detached by force"
	case ProveNode:
		for _, t := range was.RemoveTaints {
			if t.Key == TaintUnproven {
				change.AddTaints = append(change.AddTaints, t)
			}
		}
		act.Risk, act.Why = diagnose.RiskLow, "new pods stay away again until a probe passes"
	default:
		return Act{}, fmt.Errorf("nothing takes %s back", id)
	}
	if by := since(now, was); change.Unschedulable != nil && by != "" {
		change.Unschedulable = nil
		if change.Empty() {
			return Act{}, fmt.Errorf("%s cordoned or uncordoned it since", by)
		}
	}
	c := u.p.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: now.Name, UID: now.UID}, asked, nil)
	step, err := c.nodeStep(change)
	if errors.Is(err, ErrNothingLeft) {
		return Act{}, errors.New("nothing of it is left: somebody took it back, or changed it")
	} else if err != nil {
		return Act{}, err
	}
	act.Target, act.Node, act.Remedies, act.Help = c.Ref, c.Ref.Name, []ID{back}, Helps
	step.Kubectl = step.Change.kubectl(now.Name)
	step.Undo = Undo{How: "it takes back another run; `kubectl stuck node` changes the node again"}
	switch back {
	case Uncordon:
		step.What = fmt.Sprintf("uncordon node %s", now.Name)
	case InService, OutOfService:
		step.What = fmt.Sprintf("take the taint %s off node %s", corev1.TaintNodeOutOfService, now.Name)
		if back == OutOfService {
			step.What = fmt.Sprintf("set the taint %s on node %s again", corev1.TaintNodeOutOfService, now.Name)
		}
	case ProveNode:
		step.What = fmt.Sprintf("set the taint %s on node %s again", TaintUnproven, now.Name)
	default:
		step.What = fmt.Sprintf("take off node %s what the restore put on it", now.Name)
	}
	act.Steps = []Step{step}
	act.Verdicts = JudgeNode(c, back)
	return act, nil
}

// unchanged are the taints of the first list that are in the second with the same value.
func unchanged(want, have []corev1.Taint) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range want {
		if slices.ContainsFunc(have, func(h corev1.Taint) bool { return h.Key == t.Key && h.Effect == t.Effect && h.Value == t.Value }) {
			out = append(out, t)
		}
	}
	return out
}

// since names who wrote spec.unschedulable after this tool did, where managedFields tell; empty where they do not, or it was this tool.
func since(now *corev1.Node, was NodeChange) string {
	if was.Unschedulable == nil {
		return ""
	}
	var names []string
	for _, e := range now.ManagedFields {
		var fields struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if e.FieldsV1 == nil || json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		if _, wrote := fields.Spec["f:unschedulable"]; wrote {
			if e.Manager == "kubectl-stuck" {
				return ""
			}
			names = append(names, e.Manager)
		}
	}
	return listed(names)
}

// createNode plans that a Node object is made again.
func (u undoing) createNode(has snapshot.Presence, open bool) (Act, error) {
	t := u.old.Target
	raw := u.kept()
	node, err := nodeOf(raw)
	if err != nil {
		return Act{}, err
	}
	if node.Name != t.Name || node.UID != t.UID {
		return Act{}, errors.New("what its journal holds is not that Node")
	}
	before, err := SavedNode(u.h, t.Name, nil)
	if err != nil {
		return Act{}, err
	}
	node.Spec.Unschedulable = before.Spec.Unschedulable
	manifest, err := cleanedNode(raw, node, false)
	if err != nil {
		return Act{}, err
	}
	act := Act{
		Target: snapshot.Ref{Kind: snapshot.Node, Name: t.Name}, Node: t.Name, Remedies: []ID{CreateNode}, Risk: diagnose.RiskMedium, Help: MayHelp,
		Why:   "the Node object is gone and its name is free: the kubelet, if it lives, takes it up",
		Loses: []string{"the pods that went with the Node object do not come back with it", "podCIDR is not set: the node gets another one where the cluster allocates them"},
	}
	f := scope.Facts(u.p.S, t.Name)
	v := Verdict{Guard: guardKubeletReturns, Level: Warn}
	switch {
	case f.LeaseAge >= 0 && f.LeaseAge <= leaseFresh && !f.NoLease:
		v.Reason = fmt.Sprintf("The kubelet of %s renewed its lease %s ago: it takes the new object up by itself, within about 10s. What still runs on the machine is then judged by it anew.", t.Name, scope.Short(f.LeaseAge))
	case f.LeaseAge >= 0 && !f.NoLease:
		v.Reason = fmt.Sprintf("The kubelet of %s last renewed its lease %s ago: unless it lives, the new object stays NotReady until the kubelet is started.", t.Name, scope.Short(f.LeaseAge))
	default:
		v.Reason = fmt.Sprintf("Nothing is heard of the kubelet of %s. If it lives, it takes the new object up by itself, within about 10s; if not, the object stays NotReady until the kubelet is started.", t.Name)
	}
	act.Verdicts = append(act.Verdicts, v)
	if node.Spec.ProviderID != "" {
		act.Verdicts = append(act.Verdicts, Verdict{
			Guard: guardKubeletReturns, Level: Warn,
			Reason: fmt.Sprintf("The Node has a providerID: the cloud controller deletes it again if its machine (%s) does not exist any more.", node.Spec.ProviderID),
		})
	}
	if has != snapshot.Absent {
		act.Why = "whether the Node object is gone could not be seen"
		act.Verdicts = append(act.Verdicts, Verdict{Guard: guardNameFree, Level: Block, Reason: fmt.Sprintf("Whether there is a Node %s could not be seen.", t.Name)})
	}
	if open {
		act.Verdicts = append(act.Verdicts, Verdict{Guard: guardUnknown, Level: Warn, Reason: "The Node object is gone; whether this tool's call did that was never seen."})
	}
	if names := lasting(node.Finalizers); len(names) > 0 {
		act.Loses = append(act.Loses, fmt.Sprintf("%s is set again: without its owner the Node object cannot be deleted later", finalPhrase(names)))
	}
	act.Verdicts = sorted(act.Verdicts)
	what := fmt.Sprintf("create the Node object of %s again, as the journal has it", t.Name)
	if node.Spec.Unschedulable {
		what += ": cordoned, as it was before"
	}
	act.Steps = []Step{{
		Verb: Create, Ref: act.Target, Manifest: manifest, What: what,
		Kubectl: []string{fmt.Sprintf("printf '%%s' %s | kubectl create -f -", quote(string(manifest)))},
		Undo:    Undo{How: "it takes back another run; `kubectl stuck node` can delete it again"},
	}}
	return act, nil
}

// keptPods plans that the pods that went with a Node, and that nobody makes again, are created again; made are those that a controller makes again.
func (u undoing) keptPods() (acts []Act, made []string) {
	for _, raw := range u.h.Kept {
		pod := &corev1.Pod{}
		if json.Unmarshal(raw, pod) != nil || !isPod(pod) || pod.Namespace == "" || pod.UID == "" {
			continue
		}
		if pod.Annotations[corev1.MirrorPodAnnotationKey] != "" || snapshot.IsTerminal(pod) {
			continue // its kubelet shows it anew; it ran to its end
		}
		ref := refOf(snapshot.Pod, pod)
		if u.p.S.Pod(ref.Namespace, ref.Name) != nil || slices.ContainsFunc(acts, func(a Act) bool { return a.Target.Namespace == ref.Namespace && a.Target.Name == ref.Name }) {
			continue // it stayed, or another has its name
		}
		one := undoing{h: u.h, p: u.p, index: -1, old: Act{Target: ref, Node: pod.Spec.NodeName}, raw: raw}
		act, err := one.create(u.p.S.Has(snapshot.Pod, ref.Namespace, ref.Name), false)
		var again madeAgainError
		switch {
		case err == nil:
			acts = append(acts, act)
		case errors.As(err, &again):
			made = append(made, ref.Namespace+"/"+ref.Name)
		}
	}
	return acts, made
}
