package remedy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The guards of an undo. They are no part of Guards, because they judge a journal against what is there and not a stuck pod.
const (
	guardSameCluster = "same-cluster"
	guardNameFree    = "name-free"
	guardNamespace   = "namespace-live"
	guardOwnerGone   = "owner-gone"
	guardRunsTwice   = "runs-twice"
	guardUnknown     = "unknown-outcome"
	guardNotUndoable = "not-undoable" // an act of the run that stays as it is
)

// UndoPlan makes the plan that takes a run back: from what its journal tells, and from what is there now. The picture has to have looked for the run's
// objects and their namespaces. cluster is the one that the picture is of.
//
// It goes by what is there and not by what was meant: an object that lives and is not being deleted gets its finalizers back; a pod without a controller
// that is gone is created again; everything else stays. Acts that stay are named by a warning each of the plan, with the reason, as long as another one
// can be taken back; where none can, they are the error.
func UndoPlan(h History, p *Picture, cluster Cluster) (Plan, error) {
	if p == nil || p.S == nil {
		return Plan{}, errors.New("what is there now could not be seen")
	}
	plan := Plan{
		APIVersion: APIVersion, Kind: KindPlan, Made: p.S.Now(), Expires: p.S.Now().Add(Lifetime), Cluster: cluster, Undoes: h.ID,
	}
	if h.Plan.Undoes != "" {
		return Plan{}, fmt.Errorf("it took back run %s itself; what it made can be changed with fix", h.Plan.Undoes)
	}
	steps := h.Steps()
	var stays []error
	var made []string // pods of a node that their controllers make again
	for i, old := range h.Plan.Acts {
		u := undoing{h: h, p: p, index: i, old: old}
		for _, s := range steps {
			if s.Act == i {
				u.steps = append(u.steps, s)
			}
		}
		act, err := u.act()
		if errors.Is(err, errWithNode) {
			continue
		}
		if h.aboutNode() && old.Target.Kind == snapshot.Pod {
			var again madeAgainError
			if errors.As(err, &again) {
				made = append(made, old.Target.Namespace+"/"+old.Target.Name)
			}
			if errors.As(err, &again) || errors.Is(err, errNotDone) {
				continue
			}
		}
		if err == nil && slices.ContainsFunc(plan.Acts, func(a Act) bool {
			return a.Target.Kind == act.Target.Kind && a.Target.Namespace == act.Target.Namespace && a.Target.Name == act.Target.Name
		}) {
			err = errors.New("its journal names it twice")
		}
		if err != nil {
			stays = append(stays, fmt.Errorf("%s: %w", old.Target, err))
			continue
		}
		plan.Acts = append(plan.Acts, act)
	}
	if len(h.Plan.Acts) == 0 {
		return Plan{}, errors.New("its journal holds no act")
	}
	if h.DeletesNode("") {
		acts, again := undoing{h: h, p: p}.keptPods()
		plan.Acts, made = append(plan.Acts, acts...), append(made, again...)
	}
	if len(made) > 0 {
		stays = append(stays, fmt.Errorf("%s: the controllers of these pods make others", some(made)))
	}
	if len(plan.Acts) == 0 {
		if len(stays) == 0 {
			return Plan{}, errNotDone
		}
		return Plan{}, errors.Join(stays...)
	}
	if v, ok := sameCluster(h.Plan.Cluster, cluster); ok {
		plan.Verdicts = append(plan.Verdicts, v)
	}
	for _, err := range stays {
		plan.Verdicts = append(plan.Verdicts, Verdict{Guard: guardNotUndoable, Level: Warn, Reason: sentence(err.Error() + "; it stays as it is")})
	}
	plan.Verdicts = sorted(plan.Verdicts)
	return plan, nil
}

// sameCluster judges whether the run was on this cluster. The UID of kube-system decides where both are known, and else the address.
func sameCluster(was, is Cluster) (Verdict, bool) {
	v := Verdict{Guard: guardSameCluster, Level: Block}
	switch {
	case was.ID != "" && was.ID == is.ID:
		return Verdict{}, false
	case was.ID != "" && is.ID != "":
		v.Reason = fmt.Sprintf("The run was on another cluster: its kube-system namespace has UID %s, and that of this one has %s.", was.ID, is.ID)
	case was.Server != "" && was.Server == is.Server:
		v.Level = Warn
		v.Reason = fmt.Sprintf("The address of the API server (%s) is that of the run; the UID of kube-system, by which clusters are told apart for sure, could not be compared.", is.Server)
	default:
		v.Reason = fmt.Sprintf("Whether the run was on this cluster could not be seen: the UID of kube-system could not be compared, and the address was %s and is %s.", orNone(was.Server), orNone(is.Server))
	}
	return v, true
}

// undoing is one act that is to be taken back.
type undoing struct {
	h     History
	p     *Picture
	index int
	old   Act
	steps []StepStory
	raw   json.RawMessage // the object as it was, where the journal does not have it beside the act
}

func (u undoing) act() (Act, error) {
	t := u.old.Target
	if t.Kind == snapshot.Node {
		return u.node()
	}
	if t.Kind != snapshot.Pod || t.Name == "" || t.Namespace == "" || t.UID == "" {
		return Act{}, errors.New("its journal does not name a pod with its UID")
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
	now := u.p.S.Pod(t.Namespace, t.Name)
	has := u.p.S.Has(snapshot.Pod, t.Namespace, t.Name)
	switch {
	case done+open == 0 && slices.ContainsFunc(u.steps, func(s StepStory) bool { return s.Status == Already }):
		return Act{}, errors.New("somebody else had done it before: it is not this tool's to take back")
	case done+open == 0:
		return Act{}, errNotDone
	case now != nil && now.UID != t.UID:
		return Act{}, fmt.Errorf("the name is taken by another pod (UID %s, made %s): by hand, by a controller, or by an earlier undo", now.UID, now.CreationTimestamp.UTC().Format("2006-01-02 15:04:05"))
	case now != nil && now.DeletionTimestamp != nil:
		return Act{}, errors.New("it is being deleted: no call ends that, and the API server puts no finalizer on such an object")
	case now != nil && done == 0:
		return Act{}, errors.New("whether it was done is not known: the call was sent, and no answer was written down")
	case now != nil:
		return u.putBack(now)
	default:
		return u.create(has, open > 0 && done == 0)
	}
}

// putBack plans the return of finalizers.
func (u undoing) putBack(now *corev1.Pod) (Act, error) {
	var names []string
	for _, s := range u.steps {
		if s.Plan != nil && s.Plan.Verb == Patch && !s.Plan.PutsBack && s.Status == Done {
			names = append(names, s.Plan.Finalizers...)
		}
	}
	if len(names) == 0 {
		return Act{}, errors.New("no finalizer was taken off it")
	}
	patch, on, err := putOn(now, names)
	if errors.Is(err, ErrNothingLeft) {
		return Act{}, errors.New("its finalizers are back already")
	} else if err != nil {
		return Act{}, err
	}
	ref := snapshot.RefOf(now)
	act := Act{Target: ref, Node: now.Spec.NodeName, Remedies: []ID{PutBack}, Risk: diagnose.RiskLow, Help: Helps, Why: "the pod is there and is not being deleted"}
	if owner, ok := u.p.S.Owner(now); ok {
		act.Owner = &owner
	}
	act.Verdicts = append(u.namespace(), u.owners(now, on)...)
	act.Verdicts = sorted(act.Verdicts)
	act.Steps = []Step{{
		Verb: Patch, Ref: ref, ResourceVersion: now.ResourceVersion, Patch: patch, Finalizers: on, PutsBack: true,
		What:    fmt.Sprintf("put %s back on pod %s/%s", finalPhrase(on), now.Namespace, now.Name),
		Kubectl: []string{fmt.Sprintf("kubectl patch pod %s -n %s --type=json -p %s", quote(now.Name), quote(now.Namespace), quote(string(patch)))},
		Undo:    Undo{How: "it takes back another run; fix can take them off again when the pod is being deleted"},
	}}
	return act, nil
}

// create plans that the pod is made again.
func (u undoing) create(has snapshot.Presence, open bool) (Act, error) {
	t := u.old.Target
	pod, raw, err := u.manifest()
	switch {
	case err != nil:
		return Act{}, err
	case slices.ContainsFunc(pod.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Controller != nil && *o.Controller }):
		o := metav1.GetControllerOf(pod)
		return Act{}, madeAgainError{fmt.Errorf("its controller (%s %s) makes another pod", o.Kind, o.Name)}
	case pod.Annotations[corev1.MirrorPodAnnotationKey] != "":
		return Act{}, errors.New("it was the mirror of a static pod: its kubelet shows it anew by itself")
	case u.p.S.Has(snapshot.Namespace, "", t.Namespace) == snapshot.Absent:
		return Act{}, fmt.Errorf("namespace %s does not exist any more", t.Namespace)
	}
	if ns := u.p.S.NamespaceOf(t.Namespace); ns != nil && (ns.DeletionTimestamp != nil || ns.Status.Phase == corev1.NamespaceTerminating) {
		return Act{}, fmt.Errorf("namespace %s is being deleted, and takes no new objects", t.Namespace)
	}
	act := Act{
		Target: snapshot.Ref{Kind: snapshot.Pod, Namespace: t.Namespace, Name: t.Name}, Remedies: []ID{CreateAgain}, Risk: diagnose.RiskLow,
		Help: Helps, Why: "the pod is gone, its name is free, and no controller makes it again",
		Loses: []string{"what the containers of the old pod held stays lost"},
	}
	if len(pod.OwnerReferences) > 0 {
		act.Loses = append(act.Loses, fmt.Sprintf("its ownerReferences (%s) are not set again: it will not be deleted with them", owned(pod.OwnerReferences)))
	}
	act.Verdicts = u.namespace()
	if has != snapshot.Absent {
		act.Help, act.Why = MayHelp, "whether the pod is gone could not be seen"
		act.Verdicts = append(act.Verdicts, Verdict{Guard: guardNameFree, Level: Block, Reason: fmt.Sprintf("Whether the name %s/%s is free could not be seen.", t.Namespace, t.Name)})
	}
	if open {
		act.Verdicts = append(act.Verdicts, Verdict{Guard: guardUnknown, Level: Warn, Reason: "The pod is gone; whether this tool's call did that was never seen."})
	}
	u.twice(&act, pod)
	act.Verdicts = sorted(append(act.Verdicts, u.owners(pod, lasting(pod.Finalizers))...))
	act.Steps = []Step{{
		Verb: Create, Ref: act.Target, Manifest: raw,
		What:    fmt.Sprintf("create pod %s/%s again, as the journal has it", t.Namespace, t.Name),
		Kubectl: []string{fmt.Sprintf("printf '%%s' %s | kubectl create -f -", quote(string(raw)))},
		Undo:    Undo{How: "it takes back another run; fix can delete the pod"},
	}}
	return act, nil
}

// twice warns where containers of the old pod may still run: the new one would be beside them.
func (u undoing) twice(act *Act, pod *corev1.Pod) {
	c := &Case{S: u.p.S, Pod: stuck.Pod{Object: pod, Ref: snapshot.RefOf(pod), Node: pod.Spec.NodeName}, Asked: u.h.Plan.Asked, Volumes: u.p.follow(pod)}
	rest := c.atRest()
	if rest.known {
		return
	}
	st := c.standing()
	v := Verdict{Guard: guardRunsTwice, Level: Warn, Reason: fmt.Sprintf("Containers of the old pod may still run on node %s (%s): the new pod then runs beside them.", pod.Spec.NodeName, rest.doubt)}
	act.Risk = diagnose.RiskMedium
	if why := st.promises(); len(why) > 0 {
		act.Risk = diagnose.RiskDataLoss
		v.Reason += " And " + listed(why) + "."
		act.Loses = append(act.Loses, "data on its volumes, if two pods write to them")
	}
	if words, err := c.attested(); err == nil && words != "" {
		v.Reason += fmt.Sprintf(" The run had somebody's word on the node: %q.", words)
	}
	act.Verdicts = append(act.Verdicts, v)
}

// namespace warns where it could not be seen whether the namespace lives.
func (u undoing) namespace() []Verdict {
	if u.p.S.NamespaceOf(u.old.Target.Namespace) != nil {
		return nil
	}
	return []Verdict{{Guard: guardNamespace, Level: Warn, Reason: fmt.Sprintf("Whether namespace %s lives could not be seen; the API server tells at the dry run.", u.old.Target.Namespace)}}
}

// owners warns of finalizers that nobody would take off again.
func (u undoing) owners(obj metav1.Object, names []string) []Verdict {
	var out []Verdict
	for _, name := range names {
		o := finalizer.Of(u.p.S, refOf(snapshot.Pod, obj), obj, name)
		switch o.Alive {
		case finalizer.Gone:
			out = append(out, Verdict{
				Guard: guardOwnerGone, Level: Warn, Evidence: o.Evidence,
				Reason: fmt.Sprintf("The owner of finalizer %s is gone (%s): the pod would hang again when it is deleted.", name, o.Why),
			})
		case finalizer.Unknown:
			out = append(out, Verdict{Guard: guardOwnerGone, Level: Warn, Reason: fmt.Sprintf("Whether the owner of finalizer %s is alive could not be seen: without it the pod would hang again when it is deleted.", name)})
		}
	}
	return out
}

// manifest is the pod as the journal has it last, and what of it can be created.
func (u undoing) manifest() (*corev1.Pod, json.RawMessage, error) {
	raw := u.kept()
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil, errors.New("its journal does not hold the pod as it was")
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, nil, fmt.Errorf("the pod in its journal cannot be read: %w", err)
	}
	t := u.old.Target
	if !isPod(pod) || pod.Namespace != t.Namespace || pod.Name != t.Name || pod.UID != t.UID {
		return nil, nil, errors.New("what its journal holds is not that pod")
	}
	clean, err := cleaned(raw, pod)
	return pod, clean, err
}

// kept is the object of the act as the journal has it last.
func (u undoing) kept() json.RawMessage {
	raw := u.raw
	if u.index >= 0 && u.index < len(u.h.Objects) && raw == nil {
		raw = u.h.Objects[u.index]
	}
	for _, e := range u.h.Entries {
		if e.Type == Replan && e.Act == u.index && len(e.Object) > 0 {
			raw = e.Object
		}
	}
	return raw
}

// isPod tells whether what was read as a pod is one: by what it calls itself, where it does, and by its having a container, which nothing else has.
func isPod(p *corev1.Pod) bool {
	return (p.Kind == "" || p.Kind == string(snapshot.Pod)) && (p.APIVersion == "" || p.APIVersion == corev1.SchemeGroupVersion.String()) &&
		p.Name != "" && len(p.Spec.Containers) > 0
}

// owned names owners in a row.
func owned(refs []metav1.OwnerReference) string {
	var out []string
	for _, o := range refs {
		out = append(out, o.Kind+" "+o.Name)
	}
	return listed(out)
}

// Manifest is what of a pod that was kept can be created: what an undo creates it from. It has no ownerReferences: an owner may be gone by now, and garbage
// collection then deletes the pod at once; a controller takes a pod that its selector chooses by itself.
func Manifest(raw json.RawMessage) (json.RawMessage, error) {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, fmt.Errorf("the pod cannot be read: %w", err)
	}
	if !isPod(pod) {
		return nil, errors.New("it is no pod")
	}
	return cleaned(raw, pod)
}

// cleaned is the manifest by which a pod like this one can be created. Everything that the API server, admission, the scheduler or the kubelet put in and
// would put in again is left out:
//   - all of metadata but name, labels, annotations and finalizers; of these the ones that a deletion puts on itself;
//   - status, spec.nodeName (the scheduler's) and spec.ephemeralContainers (which a new pod may not have: pkg/apis/core/validation);
//   - spec.priority and spec.preemptionPolicy, which are refused where they are not what the class says by now (plugin/pkg/admission/priority), and
//     spec.overhead, which is refused where it is not what the RuntimeClass says (plugin/pkg/admission/runtimeclass).
//
// The volume kube-api-access-… of the service account and its mounts stay: admission finds them by the volume's name and by the path of the mounts, and
// adds no others (plugin/pkg/admission/serviceaccount mountServiceAccountToken). The token itself is the kubelet's, and new. Tolerations stay too: those
// that admission would add it does not add twice (plugin/pkg/admission/defaulttolerationseconds). Fields that this version does not know stay.
func cleaned(raw json.RawMessage, pod *corev1.Pod) (json.RawMessage, error) {
	var whole struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("the pod in its journal cannot be read: %w", err)
	}
	for _, field := range []string{"nodeName", "ephemeralContainers", "priority", "preemptionPolicy"} {
		delete(whole.Spec, field)
	}
	if pod.Spec.RuntimeClassName != nil {
		delete(whole.Spec, "overhead")
	}
	meta := map[string]any{"name": pod.Name, "namespace": pod.Namespace}
	if len(pod.Labels) > 0 {
		meta["labels"] = pod.Labels
	}
	if len(pod.Annotations) > 0 {
		meta["annotations"] = pod.Annotations
	}
	if keep := lasting(pod.Finalizers); len(keep) > 0 {
		meta["finalizers"] = keep
	}
	out, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": whole.Spec})
	if err != nil {
		return nil, fmt.Errorf("the pod in its journal cannot be written: %w", err)
	}
	return out, nil
}

// lasting are the finalizers without those that a deletion itself puts on (apiserver/pkg/registry/generic deletionFinalizersForGarbageCollection).
func lasting(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		return n == metav1.FinalizerDeleteDependents || n == metav1.FinalizerOrphanDependents
	})
}

func orNone(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

// sentence makes a clause a sentence.
func sentence(s string) string { return first(s, unicode.ToUpper) + "." }
