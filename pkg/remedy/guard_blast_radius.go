package remedy

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// The limits of one run, where none are given. They are this tool's own: ten pods can still be read one by one before one says yes, and a workload or a namespace of
// which more than half goes at once is an outage.
const (
	DefaultMaxPods  = 10
	DefaultMaxShare = 50 // percent
)

func blastRadius() Guard {
	return Guard{
		Name:     "blast-radius",
		Prevents: "One command, with a selector that took in too much, takes a workload or a namespace down.",
		Flag:     "max-pods",
		Lifts:    "--max-pods N, --max-share PERCENT",
		Needs:    []snapshot.Kind{snapshot.Deployment, snapshot.ReplicaSet, snapshot.StatefulSet, snapshot.DaemonSet, snapshot.Job},
		Run: func(run *Run) []Verdict {
			out := run.tooMany()
			if len(run.Cases) > 1 && run.Picture != nil && run.Picture.S != nil {
				out = append(out, run.tooLargeShare()...)
			}
			return out
		},
	}
}

// tooMany holds the number of pods against its limit.
func (run *Run) tooMany() []Verdict {
	limit := run.Asked.MaxPods
	if limit <= 0 {
		limit = DefaultMaxPods
	}
	n := len(run.Cases)
	if n <= DefaultMaxPods && n <= limit {
		return nil
	}
	flag := fmt.Sprintf("--max-pods %d", n)
	v := Verdict{
		Level: Block, Override: flag, Reason: fmt.Sprintf("The run would change %d pods, and the limit is %d.", n, min(limit, DefaultMaxPods)),
		Evidence: []diagnose.Evidence{{Object: "run", Field: "pods", Value: fmt.Sprint(n)}},
	}
	if n <= limit {
		v.Lifted, v.By = true, fmt.Sprintf("--max-pods %d", limit)
	} else {
		v.Reason = fmt.Sprintf("The run would change %d pods, and the limit is %d.", n, limit)
	}
	return []Verdict{v}
}

// whole is something of which a share would be changed: how many of its pods, of how many. total is a lower bound where exact is false.
type whole struct {
	ref   snapshot.Ref
	acted int
	total int
	exact bool
}

// tooLargeShare holds the share of each workload, and of each namespace, of which more than one pod would be changed against the limit.
func (run *Run) tooLargeShare() []Verdict {
	limit := run.Asked.MaxShare
	if limit <= 0 {
		limit = DefaultMaxShare
	}
	var out []Verdict
	for _, w := range run.wholes() {
		share := 100
		if w.total > 0 {
			share = (100*w.acted + w.total - 1) / w.total // rounded up: 50.1 % is more than 50 %
		}
		if w.acted < 2 || share <= DefaultMaxShare && share <= limit {
			continue
		}
		v := Verdict{
			Level: Block, Override: fmt.Sprintf("--max-share %d", min(share, 100)),
			Evidence: []diagnose.Evidence{{Object: w.ref.String(), Field: "pods", Value: fmt.Sprintf("%d of %d", w.acted, w.total)}},
		}
		used := limit
		if share <= limit {
			used = min(limit, DefaultMaxShare)
			v.Lifted, v.By = true, fmt.Sprintf("--max-share %d", limit)
		}
		if w.exact {
			v.Reason = fmt.Sprintf("The run would change %d of the %d pods of %s, %d%%, and the limit is %d%%.", w.acted, w.total, w.ref, share, used)
		} else {
			v.Reason = fmt.Sprintf("The run would change %d pods of %s. How many it has could not be read (%d were), so the share is not known, and the limit is %d%%.", w.acted, w.ref, w.total, used)
		}
		out = append(out, v)
	}
	return out
}

func (run *Run) wholes() []whole {
	s := run.Picture.S
	acted := map[snapshot.Ref][]*Case{}
	for _, c := range run.Cases {
		if c == nil || c.Pod.Object == nil {
			continue
		}
		ns := snapshot.Ref{Kind: snapshot.Namespace, Name: c.Pod.Ref.Namespace}
		acted[ns] = append(acted[ns], c)
		if o := c.Pod.Owner; !o.IsZero() {
			o.UID = ""
			acted[o] = append(acted[o], c)
		}
	}
	seen := map[snapshot.Ref]int{}
	for _, p := range s.Pods() {
		if snapshot.IsTerminal(p) && p.DeletionTimestamp == nil {
			continue // ended, and so nothing that could be taken away
		}
		seen[snapshot.Ref{Kind: snapshot.Namespace, Name: p.Namespace}]++
		if o, ok := s.Owner(p); ok {
			o.UID = ""
			seen[o]++
		}
	}
	var out []whole
	for ref, cases := range acted {
		w := whole{ref: ref, acted: len(cases), total: max(seen[ref], len(cases))}
		if ref.Kind == snapshot.Namespace {
			w.exact = s.Complete(snapshot.Pod, ref.Name)
			if c := s.Census(); !w.exact && c.Namespace == ref.Name && !c.Partial {
				w.total, w.exact = max(w.total, c.Pods()), true
			}
		} else if n, ok := run.podsOf(ref, cases); ok {
			w.total, w.exact = max(w.total, n), true
		} else {
			w.exact = s.Complete(snapshot.Pod, ref.Namespace)
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b whole) int { return cmp.Compare(a.ref.String(), b.ref.String()) })
	return out
}

// podsOf is how many pods the workload has: those that its controller counts, and those of the run that it does not count any more because they are being deleted
// (pkg/controller FilterActivePods; the StatefulSet controller counts them until they are gone).
func (run *Run) podsOf(ref snapshot.Ref, cases []*Case) (int, bool) {
	s := run.Picture.S
	going := 0
	for _, c := range cases {
		if c.Pod.Object.DeletionTimestamp != nil {
			going++
		}
	}
	find := func() any {
		for _, o := range s.Objects(ref.Kind) {
			m, ok := o.(interface {
				GetNamespace() string
				GetName() string
			})
			if ok && m.GetNamespace() == ref.Namespace && m.GetName() == ref.Name {
				return o
			}
		}
		return nil
	}
	if !slices.Contains(snapshot.Workloads(), ref.Kind) {
		return 0, false
	}
	switch w := find().(type) {
	case *appsv1.Deployment:
		return int(w.Status.Replicas) + going, true
	case *appsv1.ReplicaSet:
		return int(w.Status.Replicas) + going, true
	case *appsv1.StatefulSet:
		return int(w.Status.Replicas), true
	case *appsv1.DaemonSet:
		return int(w.Status.CurrentNumberScheduled), true
	case *batchv1.Job:
		return int(w.Status.Active) + going, true
	default:
		return 0, false
	}
}
