package remedy

import (
	"cmp"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Case gathers what is known of one pod; false where the picture does not hold it.
func (p *Picture) Case(ref snapshot.Ref, asked Asked) (*Case, bool) {
	obj := p.S.Pod(ref.Namespace, ref.Name)
	if obj == nil {
		return nil, false
	}
	c := &Case{S: p.S, Asked: asked, Planned: ref.UID}
	same := func(q stuck.Pod) bool { return q.Ref.Namespace == ref.Namespace && q.Ref.Name == ref.Name }
	if i := slices.IndexFunc(p.Found.Stuck, same); i >= 0 {
		c.Pod, c.Stuck = p.Found.Stuck[i], true
	} else if i := slices.IndexFunc(p.Found.Waiting, same); i >= 0 {
		c.Pod, c.Waiting = p.Found.Waiting[i], true
	} else {
		owner, _ := p.S.Owner(obj)
		c.Pod = stuck.Pod{Object: obj, Ref: snapshot.RefOf(obj), Node: obj.Spec.NodeName, Word: snapshot.StatusOf(obj).Word, Owner: owner}
	}
	c.Findings = p.D.Of(c.Pod.Ref)
	if v, ok := p.D.Scope.Pods[c.Pod.Ref]; ok {
		c.Reach = v.Reach
	}
	for i := range p.D.Scope.Groups {
		if c.Pod.Node != "" && p.D.Scope.Groups[i].Node == c.Pod.Node {
			c.Group = &p.D.Scope.Groups[i]
		}
	}
	c.Owners = finalizer.OfAll(p.S, c.Pod.Ref, obj)
	c.Volumes = p.follower.Fill(obj)
	c.DeleteGates = p.chain.Gates(obj, admissionv1.Delete, "")
	c.UpdateGates = p.chain.Gates(obj, admissionv1.Update, "")
	return c, true
}

// Chosen are the rungs that the person asked for, in the order in which they are done.
func (c *Case) Chosen() []ID {
	var out []ID
	if c.Asked.Delete {
		out = append(out, DeletePod)
	}
	if c.Asked.Force {
		out = append(out, ForceDelete)
	}
	if c.Asked.Finalizers {
		out = append(out, RemoveFinalizers)
	}
	return out
}

// Ladder is every rung that has a place in the case, least dangerous first, with what the guards say of those that the tool carries out.
// Those that would not help are on it too, and say why not. One is offered: the least dangerous that nothing blocks and that helps, or may; where there is
// none, the least dangerous that nothing blocks and that helps together with something else.
func Ladder(c *Case) []Rung {
	var out []Rung
	offer, rank := -1, 0
	for _, r := range All() {
		for _, rung := range r.Assess(c) {
			rung.ID = r.ID
			if rung.By == ByTool && r.Steps != nil {
				rung.Verdicts = Judge(c, r)
				if n := promise(rung.Help); n > rank && !rung.Blocked() {
					offer, rank = len(out), n
				}
			}
			out = append(out, rung)
		}
	}
	if offer >= 0 {
		out[offer].Offered = true
	}
	return out
}

// promise orders what may be offered: what helps by itself goes before what does not, and 0 is never offered.
func promise(h Help) int {
	switch h {
	case Helps, MayHelp:
		return 2
	case NotAlone:
		return 1
	default:
		return 0
	}
}

// Judge asks every guard of the remedy, blocks first.
func Judge(c *Case, r Remedy) []Verdict {
	var out []Verdict
	for _, g := range Guards() {
		if g.Check == nil || len(g.For) > 0 && !slices.Contains(g.For, r.ID) {
			continue
		}
		for _, v := range g.Check(c, r) {
			out = append(out, complete(v, g))
		}
	}
	return sorted(out)
}

// JudgeRun asks the guards that look at a whole run.
func JudgeRun(run *Run) []Verdict {
	var out []Verdict
	for _, g := range Guards() {
		if g.Run == nil {
			continue
		}
		for _, v := range g.Run(run) {
			out = append(out, complete(v, g))
		}
	}
	return sorted(out)
}

func complete(v Verdict, g Guard) Verdict {
	v.Guard = g.Name
	if v.Override == "" && v.Level == Block {
		v.Override = g.Lifts
	}
	return v
}

func sorted(vs []Verdict) []Verdict {
	weight := func(v Verdict) int {
		switch {
		case v.Blocks():
			return 0
		case v.Lifted:
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(vs, func(a, b Verdict) int { return cmp.Compare(weight(a), weight(b)) })
	return vs
}

// Lift turns a block into a lifted one where the person gave the guard's flag.
func (a Asked) Lift(v Verdict, flag string) Verdict {
	if v.Level == Block && slices.Contains(a.Lifted, flag) {
		v.Lifted, v.By = true, "--"+flag
	}
	return v
}

// Find returns the remedy of that name.
func Find(id ID) (Remedy, bool) {
	all := All()
	i := slices.IndexFunc(all, func(r Remedy) bool { return r.ID == id })
	if i < 0 {
		return Remedy{}, false
	}
	return all[i], true
}

// Make plans the rungs that the person asked for, for the pods of the picture. The plan may hold blocks: see Plan.Blocks. An error names the pod for
// which there is nothing to plan.
func Make(p *Picture, refs []snapshot.Ref, asked Asked, cluster Cluster) (Plan, error) {
	plan := Plan{
		APIVersion: APIVersion, Kind: KindPlan, Made: p.S.Now(), Expires: p.S.Now().Add(Lifetime), Cluster: cluster, Asked: asked,
	}
	run := &Run{Picture: p, Asked: asked}
	for _, ref := range refs {
		c, ok := p.Case(ref, asked)
		if !ok {
			return Plan{}, fmt.Errorf("%s is not there", ref)
		}
		act, err := c.Act()
		if err != nil {
			return Plan{}, fmt.Errorf("%s: %w", c.Pod.Ref, err)
		}
		plan.Acts = append(plan.Acts, act)
		run.Cases = append(run.Cases, c)
		run.Remedies = append(run.Remedies, act.Remedies)
	}
	plan.Verdicts = JudgeRun(run)
	return plan, nil
}

// Act plans the chosen rungs for one pod.
func (c *Case) Act() (Act, error) {
	act := Act{Target: c.Pod.Ref, Node: c.Pod.Node, Remedies: c.Chosen(), Risk: diagnose.RiskNone}
	if !c.Pod.Owner.IsZero() {
		owner := c.Pod.Owner
		act.Owner = &owner
	}
	seen := map[string]bool{}
	for _, id := range act.Remedies {
		r, ok := Find(id)
		if !ok || r.Steps == nil {
			return Act{}, fmt.Errorf("%s is nothing that this tool can do", id)
		}
		work, err := r.Steps(c)
		if err != nil {
			return Act{}, err
		}
		act.Steps = append(act.Steps, work.Steps...)
		act.Risk = Worse(act.Risk, work.Risk)
		for _, l := range work.Loses {
			if !slices.Contains(act.Loses, l) {
				act.Loses = append(act.Loses, l)
			}
		}
		for _, v := range Judge(c, r) {
			if key := v.Guard + "\x00" + v.Reason; !seen[key] {
				seen[key] = true
				act.Verdicts = append(act.Verdicts, v)
			}
		}
	}
	act.Verdicts = sorted(act.Verdicts)
	act.Help, act.Why = Outlook(c, act.Remedies)
	return act, nil
}
