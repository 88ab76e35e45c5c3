package control

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// nextWrites are the requests that a stuck pod waits for. A pod on a node in trouble waits for the node instead.
func nextWrites(s *snapshot.Snapshot, p inGroup) []admission.Write {
	status := []admission.Write{{Op: admissionv1.Update, Subresource: "status"}}
	switch {
	case p.Stage == stuck.FinalizersOnly, p.Stage == stuck.NodeGone, p.Stage == stuck.NeverScheduled:
		return admission.Writes(p.Pod)
	case p.facts.Broken():
		return nil
	case p.Stage == stuck.KillUnconfirmed && killFails(s, p.Pod):
		return nil // the kubelet has not come to the report yet
	case p.Stage == stuck.KillUnconfirmed:
		return status // what comes after it is not refused yet
	case p.Stage == stuck.Cleanup:
		return admission.Writes(p.Pod)
	case untold(p.Pod), unreported(s, p.Pod):
		return status
	}
	return nil
}

// killFails tells whether the kubelet lately said that it cannot end the pod's containers, or its sandbox: it reports that a pod ended when they are
// gone, not before (pkg/kubelet SyncTerminatingPod).
func killFails(s *snapshot.Snapshot, p stuck.Pod) bool {
	said := diagnose.Said(s, p, diagnose.Text{Any: []string{"error killing pod", "KillContainer", "KillPodSandbox", "failed to stop container"}}, "FailedKillPod", "FailedSync")
	return len(said) > 0 && diagnose.Fresh(s, diagnose.Certain, said) == diagnose.Certain
}

// untold tells whether the pod has a node, and no kubelet ever wrote to its status.
func untold(p stuck.Pod) bool { return p.State == stuck.Pending && p.Node != "" }

// unreported tells whether the kubelet said that it started containers of the pod, and the pod's status knows of none: what the kubelet writes to the
// status does not arrive.
func unreported(s *snapshot.Snapshot, p stuck.Pod) bool {
	if p.State != stuck.ContainerCreating && p.State != stuck.PodInitializing {
		return false
	}
	for _, c := range slices.Concat(p.Object.Status.InitContainerStatuses, p.Object.Status.ContainerStatuses) {
		if c.State.Waiting == nil || c.LastTerminationState.Terminated != nil {
			return false
		}
	}
	return slices.ContainsFunc(diagnose.Events(s, p), func(e snapshot.EventRecord) bool { return e.Reason == "Started" })
}

// lags tells whether the pod was changed (marked for deletion, most often) and its status does not speak of that yet. Since Kubernetes 1.33 the
// kubelet says which generation it has seen, so this is a status that does not arrive, or a kubelet that does not look.
func lags(p stuck.Pod) bool {
	return p.Object.Status.ObservedGeneration > 0 && p.Object.Status.ObservedGeneration < p.Object.Generation
}

// heard is a refusal that an event quotes.
type heard struct {
	admission.Refusal
	evidence diagnose.Evidence
}

// heardOf lists the refusals that events about the pod, or about its owner, quote: the newest two of each kind and name. What an owner says of pods
// that it cannot create is not about this one.
func heardOf(s *snapshot.Snapshot, p stuck.Pod) []heard {
	events := diagnose.Events(s, p)
	if !p.Owner.IsZero() {
		events = slices.Concat(events, s.Events(p.Owner))
	}
	n := map[admission.Refusal]int{}
	var out []heard
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Reason == "FailedCreate" {
			continue
		}
		r, ok := admission.Recognize(events[i].Message)
		k := r
		k.Reason = ""
		if !ok || n[k] == 2 {
			continue
		}
		n[k]++
		out = append(out, heard{r, diagnose.EventEvidence(events[i])})
	}
	return out
}

func namespacesOf(refs []snapshot.Ref) map[string]bool {
	out := map[string]bool{}
	for _, r := range refs {
		out[r.Namespace] = true
	}
	return out
}

// inWay gathers the stuck pods that one gate is in the way of.
type inWay struct {
	gate     admission.Gate
	explains []snapshot.Ref // surely asked about
	guessed  []snapshot.Ref // perhaps
	spoken   []diagnose.Evidence
	knowing  bool // of the node of each that it explains, or none matters
	// missing cites the reports of kubelets that do not arrive, and nodes are those of the pods.
	missing []diagnose.Evidence
	nodes   map[string]bool
	// others are the causes that the pods' stages fit as well.
	others []string
}

// place is what tells gates apart: webhooks of one configuration are several, bindings of one policy are one.
type place struct {
	ref  snapshot.Ref
	name string
}

// tally gathers the gates in the order in which they are met.
type tally struct {
	order []place
	of    map[place]*inWay
}

func newTally() *tally { return &tally{of: map[place]*inWay{}} }

func (t *tally) at(g admission.Gate) *inWay {
	k := place{g.Ref, g.Name}
	w := t.of[k]
	if w == nil {
		w = &inWay{gate: g, knowing: true, nodes: map[string]bool{}}
		t.of[k] = w
		t.order = append(t.order, k)
	}
	return w
}

// add notes a pod that the gate is asked about. sure says whether it is, and that it is in the way.
func (w *inWay) add(p inGroup, sure bool) {
	list := &w.guessed
	if sure {
		list = &w.explains
		w.knowing = w.knowing && (p.facts.Ready != "" || p.Stage == stuck.FinalizersOnly || p.Stage == stuck.NodeGone || p.Stage == stuck.NeverScheduled)
	}
	other := "kubelet-pod-worker-bug"
	if p.Stage == stuck.FinalizersOnly {
		other = "foreign-finalizer-controller-gone"
	}
	if !slices.Contains(w.others, other) {
		w.others = append(w.others, other)
	}
	if n := len(*list); n == 0 || (*list)[n-1] != p.Ref {
		*list = append(*list, p.Ref)
	}
}

// miss notes that the kubelet's report on a pod does not arrive, although its node is well.
func (w *inWay) miss(p inGroup) {
	st := &p.Object.Status
	value := fmt.Sprintf("%d, and metadata.generation is %d: the kubelet's report of the last change is missing", st.ObservedGeneration, p.Object.Generation)
	if untold(p.Pod) {
		value = "of no generation: the kubelet of " + p.Node + " never reported anything"
	}
	w.nodes[p.Node] = true
	if len(w.missing) < 3 {
		w.missing = append(w.missing, diagnose.Evidence{Object: p.Ref.String(), Field: "status.observedGeneration", Value: value})
	}
}

// configured finds the gate that refused something for a pod, among all that the picture holds: the API server names webhooks and policies without
// saying whose they are, and webhooks of several configurations may have one name. The host that the API server called tells them apart, then whether
// they are asked about the pod at all. found is false where none is left, or several are; then these are in candidates.
func configured(s *snapshot.Snapshot, chain *admission.Chain, p stuck.Pod, r admission.Refusal) (g admission.Gate, candidates []admission.Gate, found bool) {
	switch r.By {
	case admission.ValidatingPolicy:
		for _, p := range s.ValidatingPolicies() {
			if p.Name == r.Name {
				return admission.Gate{Kind: r.By, Name: p.Name, Ref: snapshot.Ref{Kind: snapshot.ValidatingAdmissionPolicy, Name: p.Name, UID: p.UID}}, nil, true
			}
		}
		return g, nil, false
	case admission.MutatingPolicy:
		for _, p := range s.MutatingPolicies() {
			if p.Name == r.Name {
				return admission.Gate{Kind: r.By, Name: p.Name, Ref: snapshot.Ref{Kind: snapshot.MutatingAdmissionPolicy, Name: p.Name, UID: p.UID}}, nil, true
			}
		}
		return g, nil, false
	}
	list := chain.Webhooks(r.Name)
	if host := r.Host(); host != "" {
		list = atHost(list, host)
	}
	if len(list) > 1 {
		var asked []place
		for _, w := range []admission.Write{
			{Op: admissionv1.Update}, {Op: admissionv1.Update, Subresource: "status"}, {Op: admissionv1.Delete},
			{Op: admissionv1.Create, Subresource: "binding"}, {Op: admissionv1.Create, Subresource: "eviction"},
		} {
			for _, g := range chain.Gates(p.Object, w.Op, w.Subresource) {
				asked = append(asked, place{g.Ref, g.Name})
			}
		}
		list = prefer(list, func(g admission.Gate) bool { return slices.Contains(asked, place{g.Ref, g.Name}) })
		if r.Kind == admission.Unreachable {
			list = prefer(list, func(g admission.Gate) bool { return g.Fail })
		}
	}
	if len(list) != 1 {
		return g, list, false
	}
	return list[0], nil, true
}

// atHost are the webhooks that are called by a host.
func atHost(list []admission.Gate, host string) []admission.Gate {
	return slices.DeleteFunc(slices.Clone(list), func(g admission.Gate) bool { return !strings.EqualFold(g.Host, host) })
}

// prefer are the gates of which something is true, or all of them where it is true of none.
func prefer(list []admission.Gate, is func(admission.Gate) bool) []admission.Gate {
	out := slices.DeleteFunc(slices.Clone(list), func(g admission.Gate) bool { return !is(g) })
	if len(out) == 0 {
		return list
	}
	return out
}

// whose says why no configuration is named: several have a webhook of the name, or none does.
func whose(candidates []admission.Gate) string {
	if len(candidates) == 0 {
		return "its configuration was not read, does not exist any more, or names another server by now"
	}
	var names []string
	for _, g := range candidates {
		names = append(names, g.Ref.Name)
	}
	return "several configurations have one of that name, and nothing tells which it was: " + strings.Join(names, ", ")
}
