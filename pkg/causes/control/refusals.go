package control

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// refusal is what the API server answered to a workload's controller that wanted to create a pod.
type refusal struct {
	text       string // the newest answer that matches
	evidence   []diagnose.Evidence
	confidence diagnose.Confidence
}

// readsOfRefusals are the kinds that refused looks at, beside the workload.
func readsOfRefusals() []snapshot.Kind { return []snapshot.Kind{snapshot.Event, snapshot.ReplicaSet} }

// refused looks for an answer that matches. Events come before conditions: a controller writes its condition once, when creation begins to fail,
// and leaves it as it is while the reason changes (pkg/controller/replicaset calculateStatus). What is no more the newest answer may have been dealt with.
func refused(s *snapshot.Snapshot, o stuck.Object, match diagnose.Text) (refusal, bool) {
	if o.State != stuck.NoPods {
		return refusal{}, false
	}
	said := stuck.Refusals(s, o)
	if slices.ContainsFunc(said, func(r stuck.Refusal) bool { return r.Count > 0 }) {
		said = slices.DeleteFunc(said, func(r stuck.Refusal) bool { return r.Count == 0 })
	}
	var out refusal
	for i := len(said) - 1; i >= 0 && len(out.evidence) < 3; i-- {
		if !match.Match(said[i].Message) {
			continue
		}
		if out.text == "" {
			out.text, out.confidence = said[i].Message, diagnose.Likely
			if i == len(said)-1 {
				out.confidence = diagnose.Certain
			}
		}
		out.evidence = append(out.evidence, diagnose.RefusalEvidence(said[i]))
	}
	if out.text == "" {
		return refusal{}, false
	}
	out.confidence = diagnose.Fresh(s, out.confidence, out.evidence)
	return out, true
}

// decide says how to find out whether an older answer still holds.
func (r refusal) decide() string {
	if r.confidence == diagnose.Certain {
		return ""
	}
	return "This is not the newest answer, or it is old: look at the workload's events for the last one."
}

// lack says how many pods a workload is short of.
func lack(o stuck.Object) string {
	what := "pods"
	if o.Ref.Kind == snapshot.Deployment {
		what = "pods of its present template"
	}
	return fmt.Sprintf("%s has %d of %d %s", o.Ref, o.Created, o.Wanted, what)
}

// templateOf is the pod that a workload wants to create, as far as its template tells.
func templateOf(o stuck.Object) *corev1.Pod {
	var t corev1.PodTemplateSpec
	switch w := o.Object.(type) {
	case *appsv1.Deployment:
		t = w.Spec.Template
	case *appsv1.ReplicaSet:
		t = w.Spec.Template
	case *appsv1.StatefulSet:
		t = w.Spec.Template
	case *appsv1.DaemonSet:
		t = w.Spec.Template
	case *batchv1.Job:
		t = w.Spec.Template
	default:
		return nil
	}
	p := &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	p.Namespace, p.Name, p.GenerateName = o.Ref.Namespace, "", o.Ref.Name+"-"
	return p
}

// after is what stands in a text between a mark, in whatever case, and the first of the ends, or the end of the text.
func after(text, mark, ends string) string {
	i := strings.Index(strings.ToLower(text), strings.ToLower(mark))
	if i < 0 || i+len(mark) > len(text) {
		return ""
	}
	rest := text[i+len(mark):]
	if j := strings.IndexAny(rest, ends); j >= 0 {
		rest = rest[:j]
	}
	return strings.TrimSpace(rest)
}

// sentence ends a quotation: its last part, cut where it is long, without a full stop of its own.
func sentence(text string) string {
	const most = 300
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ". ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + " …"
	}
	return text
}
