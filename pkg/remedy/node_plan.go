package remedy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ErrNodeGone says that the Node object does not exist any more.
var ErrNodeGone = errors.New("its Node object does not exist any more")

// OutOfServiceTaint is the taint of a node that is off, with the value that Kubernetes' own documentation uses.
func OutOfServiceTaint() corev1.Taint {
	return corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "nodeshutdown", Effect: corev1.TaintEffectNoExecute}
}

// MakeNode plans what was asked to be done to a node: to drain and delete it, or to set or take off the taint of a node that is off. The plan may hold blocks.
func MakeNode(c *NodeCase, cluster Cluster) (Plan, error) {
	plan := Plan{
		APIVersion: APIVersion, Kind: KindPlan, Made: c.S.Now(), Expires: c.S.Now().Add(Lifetime), Cluster: cluster, Asked: c.Asked,
	}
	switch {
	case c.Node == nil && c.Facts.Exists == snapshot.Absent:
		return plan, fmt.Errorf("node %s: %w", c.Ref.Name, ErrNodeGone)
	case c.Node == nil:
		return plan, fmt.Errorf("node %s could not be read", c.Ref.Name)
	case c.Planned != "" && c.Planned != c.Node.UID:
		return plan, fmt.Errorf("node %s has UID %s, and was to be %s: %w", c.Ref.Name, c.Node.UID, c.Planned, ErrReplaced)
	}
	var err error
	switch {
	case c.Asked.DrainAndDelete:
		plan.Acts, err = c.drainAndDelete()
	case c.Asked.OutOfService:
		plan.Acts, err = c.taint(OutOfService)
	case c.Asked.InService:
		plan.Acts, err = c.taint(InService)
	default:
		err = errors.New("nothing was asked for that is done to a node")
	}
	if err != nil {
		return plan, err
	}
	run := &Run{Picture: c.Picture, Asked: c.Asked}
	plan.Verdicts = JudgeRun(run)
	return plan, nil
}

// nodeStep is the patch of a Node, or ErrNothingLeft.
func (c *NodeCase) nodeStep(change NodeChange) (Step, error) {
	patch, left, err := NodePatch(c.Node, change)
	if err != nil {
		return Step{}, err
	}
	return Step{Verb: Patch, Ref: c.Ref, ResourceVersion: c.Node.ResourceVersion, Patch: patch, Change: &left}, nil
}

func (c *NodeCase) drainAndDelete() ([]Act, error) {
	var acts []Act
	on := true
	step, err := c.nodeStep(NodeChange{Unschedulable: &on})
	switch {
	case err == nil:
		step.What = fmt.Sprintf("cordon node %s, so that it takes no new pods", c.Ref.Name)
		step.Kubectl = []string{"kubectl cordon " + quote(c.Ref.Name)}
		step.Undo = Undo{Can: true, How: "the node is uncordoned"}
		acts = append(acts, Act{
			Target: c.Ref, Node: c.Ref.Name, Remedies: []ID{Cordon}, Risk: diagnose.RiskLow, Help: NotAlone, Why: "no new pod comes to the node while it is emptied",
			Verdicts: JudgeNode(c, Cordon), Steps: []Step{step},
		})
	case !errors.Is(err, ErrNothingLeft):
		return nil, err
	}
	leaving := c.Of(Evicted)
	slices.SortStableFunc(leaving, func(a, b NodePod) int {
		return cmp.Or(cmp.Compare(a.kindness(), b.kindness()), cmp.Compare(a.Case.Pod.Ref.String(), b.Case.Pod.Ref.String()))
	})
	for _, p := range leaving {
		acts = append(acts, p.evict())
	}
	return append(acts, c.delete()), nil
}

// kindness orders evictions: what has company elsewhere first, what must run once or holds the cluster up last.
func (p NodePod) kindness() int {
	st := p.Case.standing()
	switch {
	case strings.HasPrefix(st.obj.Spec.PriorityClassName, "system-"):
		return 3
	case len(st.promises()) > 0:
		return 2
	case st.bare():
		return 1
	default:
		return 0
	}
}

// evict asks that a pod be deleted in order, as far as its disruption budgets allow.
func (p NodePod) evict() Act {
	st := p.Case.standing()
	ref := p.Case.Pod.Ref
	act := Act{
		Target: ref, Node: st.Pod.Node, Remedies: []ID{EvictPod}, Risk: diagnose.RiskLow, Help: Helps, Why: p.Why,
		Steps: []Step{{
			Verb: Evict, Ref: ref, ResourceVersion: st.obj.ResourceVersion,
			What:    fmt.Sprintf("evict pod %s", st.name()),
			Kubectl: []string{fmt.Sprintf("kubectl drain %s --pod-selector=… --ignore-daemonsets  # evicts pod %s, by selector only", quote(st.Pod.Node), st.name())},
			Undo:    Undo{How: "the pod is deleted; " + p.again()},
		}},
	}
	if !st.Pod.Owner.IsZero() {
		owner := st.Pod.Owner
		act.Owner = &owner
	}
	if st.bare() {
		act.Risk = diagnose.RiskHigh
		act.Loses = []string{fmt.Sprintf("pod %s, which nobody makes again: its manifest stays in the journal", st.name())}
		act.Steps[0].Undo = Undo{Can: true, How: "creates the pod again from the journal: same name and spec, new UID; what its containers held is lost"}
	}
	if dirs := emptyDirs(st.obj); len(dirs) > 0 {
		act.Loses = append(act.Loses, fmt.Sprintf("what pod %s keeps in %s", st.name(), listed(dirs)))
	}
	if guard, ok := guardNamed("replaced"); ok && guard.Check != nil {
		for _, v := range guard.Check(p.Case, Remedy{ID: EvictPod}) {
			act.Verdicts = append(act.Verdicts, complete(v, guard))
		}
	}
	return act
}

func guardNamed(name string) (Guard, bool) {
	all := Guards()
	i := slices.IndexFunc(all, func(g Guard) bool { return g.Name == name })
	if i < 0 {
		return Guard{}, false
	}
	return all[i], true
}

// again says who makes the pod again.
func (p NodePod) again() string {
	if owner := p.Case.Pod.Owner; !owner.IsZero() {
		return fmt.Sprintf("%s makes another", owner)
	}
	return "nobody makes another"
}

// emptyDirs names the emptyDir volumes of a pod.
func emptyDirs(pod *corev1.Pod) []string {
	var out []string
	for _, v := range pod.Spec.Volumes {
		if v.EmptyDir != nil {
			out = append(out, "emptyDir "+v.Name)
		}
	}
	return out
}

// delete removes the Node object. What that costs is what it costs to force delete every pod that is left by then.
func (c *NodeCase) delete() Act {
	act := Act{Target: c.Ref, Node: c.Ref.Name, Remedies: []ID{DeleteNode}, Risk: diagnose.RiskMedium, Help: Helps}
	left := c.Of(Dropped)
	if c.Asked.Again {
		left = c.Of(Dropped, Evicted)
	}
	var twice, dropped []string
	for _, p := range left {
		st := p.Case.standing()
		dropped = append(dropped, st.name())
		if len(st.promises()) > 0 && !st.atRest().known {
			twice = append(twice, st.name())
		}
		if st.bare() {
			act.Loses = append(act.Loses, fmt.Sprintf("pod %s, which nobody makes again: its manifest stays in the journal", st.name()))
		}
		for _, dir := range emptyDirs(st.obj) {
			act.Loses = append(act.Loses, fmt.Sprintf("what pod %s keeps in %s", st.name(), dir))
		}
	}
	if len(dropped) > 0 {
		act.Risk = diagnose.RiskHigh
		act.Loses = append([]string{fmt.Sprintf("%s cannot stop in order: PodGC deletes %s without the kubelet, and containers that still run go on on the machine", some(dropped), pronoun(len(dropped)))}, act.Loses...)
	}
	// What is evicted stops in order, or it does not: what the person agrees to is the worst of it. Where it does not, the guards decide again before the deletion.
	if !c.Asked.Again {
		var may []string
		for _, p := range c.Of(Evicted) {
			if st := p.Case.standing(); len(st.promises()) > 0 && !st.atRest().known {
				may = append(may, st.name())
			}
		}
		if len(may) > 0 {
			act.Risk = diagnose.RiskDataLoss
			act.Loses = append(act.Loses, fmt.Sprintf("data, if %s must be deleted before it stopped while the machine still runs: the guards ask for proof or your word then", some(may)))
		}
	}
	if len(twice) > 0 {
		act.Risk = diagnose.RiskDataLoss
		act.Loses = append([]string{fmt.Sprintf("data, if the machine still runs: %s must not run twice", some(twice))}, act.Loses...)
	}
	var agents []string
	for _, p := range c.Of(WithNode) {
		agents = append(agents, p.Case.Pod.Ref.Namespace+"/"+p.Case.Pod.Ref.Name)
	}
	if len(agents) > 0 {
		act.Loses = append(act.Loses, fmt.Sprintf("%s until the node is back: of DaemonSets", some(agents)))
	}
	act.Loses = append(act.Loses, fmt.Sprintf("the labels, taints and annotations of the Node object, until `kubectl stuck node %s --restore` puts them back from the journal", c.Ref.Name))
	act.Why = "PodGC then deletes what is left of its pods, within about a minute, and their workloads make others"
	act.Steps = []Step{{
		Verb: Delete, Ref: c.Ref, ResourceVersion: c.Node.ResourceVersion,
		What:    fmt.Sprintf("delete the Node object of %s", c.Ref.Name),
		Kubectl: []string{"kubectl delete node " + quote(c.Ref.Name)},
		Undo:    Undo{Can: true, How: "the Node object is created again from the journal, unless its kubelet registered it by then; --restore gives that its labels, taints and annotations; pods that went with it do not come back"},
	}}
	act.Verdicts = JudgeNode(c, DeleteNode)
	return act
}

func pronoun(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// taint plans that the taint of a node that is off is set, or taken off.
func (c *NodeCase) taint(id ID) ([]Act, error) {
	taint := OutOfServiceTaint()
	change := NodeChange{AddTaints: []corev1.Taint{taint}}
	if id == InService {
		change = NodeChange{}
		for _, t := range c.Node.Spec.Taints {
			if t.Key == taint.Key {
				change.RemoveTaints = append(change.RemoveTaints, t)
			}
		}
		if len(change.RemoveTaints) == 0 {
			return nil, fmt.Errorf("node %s does not have the taint %s: %w", c.Ref.Name, taint.Key, ErrNothingLeft)
		}
	}
	step, err := c.nodeStep(change)
	if errors.Is(err, ErrNothingLeft) {
		return nil, fmt.Errorf("node %s has the taint %s already: %w", c.Ref.Name, taint.Key, ErrNothingLeft)
	} else if err != nil {
		return nil, err
	}
	act := Act{Target: c.Ref, Node: c.Ref.Name, Remedies: []ID{id}, Verdicts: JudgeNode(c, id)}
	if id == InService {
		step.What = fmt.Sprintf("take the taint %s off node %s", taint.Key, c.Ref.Name)
		step.Kubectl = []string{fmt.Sprintf("kubectl taint nodes %s %s-", quote(c.Ref.Name), taint.Key)}
		step.Undo = Undo{Can: true, How: "the taint is set again"}
		act.Risk, act.Help, act.Why, act.Steps = diagnose.RiskLow, Helps, "pods may be scheduled to the node again", []Step{step}
		return []Act{act}, nil
	}
	step.What = fmt.Sprintf("taint node %s as out of service", c.Ref.Name)
	step.Kubectl = []string{fmt.Sprintf("kubectl taint nodes %s %s=%s:%s", quote(c.Ref.Name), taint.Key, taint.Value, taint.Effect)}
	step.Undo = Undo{Can: true, How: "the taint is taken off; pods that went and volumes that were detached do not come back"}
	act.Risk, act.Help, act.Steps = diagnose.RiskDataLoss, Helps, []Step{step}
	act.Why = "pods that do not tolerate the taint are deleted, PodGC takes those that are being deleted out of the API within about 20s, and their volumes are detached without the 6 minutes that are waited otherwise"
	var leave, volumes []string
	for _, p := range c.Pods {
		st := p.Case.standing()
		if p.Fate == Remains || p.Fate == Finished || p.Fate == WithOwner {
			continue
		}
		if staysOutOfService(st.obj) {
			continue
		}
		leave = append(leave, st.name())
		for _, v := range st.attached() {
			if !slices.Contains(volumes, v) {
				volumes = append(volumes, v)
			}
		}
	}
	if len(leave) > 0 {
		act.Loses = append(act.Loses, fmt.Sprintf("%s: deleted without the kubelet", some(leave)))
	}
	for _, v := range volumes {
		act.Loses = append(act.Loses, v+" is detached by force: two writers, if the machine still runs")
	}
	return []Act{act}, nil
}

// staysOutOfService tells whether the taint of a node that is off leaves the pod alone. What is being deleted already PodGC removes, whatever it tolerates
// (pkg/controller/podgc/gc_controller.go gcTerminating).
func staysOutOfService(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && toleratesForGood(pod, OutOfServiceTaint())
}

// toleratesForGood tells whether the pod tolerates the taint for good.
func toleratesForGood(pod *corev1.Pod, taint corev1.Taint) bool {
	return slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
		return (t.Effect == "" || t.Effect == taint.Effect) && (t.Key == "" && t.Operator == corev1.TolerationOpExists || t.Key == taint.Key) &&
			(t.Operator == corev1.TolerationOpExists || t.Value == taint.Value) && t.TolerationSeconds == nil
	})
}
