package apply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Gates are what the API server asks before a step, as a picture shows it.
type Gates func(act remedy.Act, step remedy.Step) []admission.Gate

// DryRun asks the API server what it would say to each step, without doing it: one answer for each, in order. A step that follows another of its act is
// tried on the object as it is now, because nothing was done. gates may be nil.
func (c *Client) DryRun(ctx context.Context, plan remedy.Plan, gates Gates) []remedy.Answer {
	var out []remedy.Answer
	for i, act := range plan.Acts {
		deleted := false // a step before this one deletes it
		for k, s := range act.Steps {
			a := c.dryRun(ctx, act, k, gates, deleted)
			a.Act, a.Step = i, k
			out = append(out, a)
			deleted = deleted || s.Verb == remedy.Delete && s.Grace != nil && *s.Grace == 0
		}
	}
	return out
}

func (c *Client) dryRun(ctx context.Context, act remedy.Act, at int, gates Gates, deleted bool) remedy.Answer {
	s := act.Steps[at]
	failed := func(err error) remedy.Answer {
		return remedy.Answer{Said: remedy.Failed, Text: err.Error(), Next: "run it again: nothing was changed"}
	}
	if err := checkAt(act, at); err != nil {
		return remedy.Answer{Said: remedy.Failed, Text: err.Error()}
	}
	if s.OfBefore {
		return remedy.Answer{Said: remedy.Untestable, Text: fmt.Sprintf("%s is not there before the step before creates it, so its deletion cannot be tried", s.Ref)}
	}
	var before *unstructured.Unstructured
	if s.Verb != remedy.Create {
		obj, err := c.Read(ctx, s.Ref)
		switch {
		case apierrors.IsNotFound(err):
			return gone(s.Ref)
		case apierrors.IsForbidden(err):
			return remedy.Answer{Said: remedy.Refused, Code: http.StatusForbidden, By: "RBAC", Text: err.Error(), Next: nextRBAC(s.Ref)}
		case err != nil:
			return failed(err)
		}
		if a, ok := compare(s, obj); !ok {
			return a
		}
		before = obj
		if s, err = rebase(s, obj); errors.Is(err, remedy.ErrNothingLeft) {
			return remedy.Answer{Said: remedy.Changed, Text: fmt.Sprintf("%s: nothing is left of this step: the object is as it would make it", s.Ref)}
		} else if err != nil {
			return failed(err)
		}
	}
	q, err := callOf(s, true)
	if err != nil {
		return failed(err)
	}
	a, err := c.do(ctx, q)
	if err != nil {
		return failed(fmt.Errorf("the API server could not say whether it takes this: %w", err))
	}
	out := remedy.Answer{Code: a.code, Text: a.says()}
	if a.ok() {
		return remedy.Answer{Said: remedy.Accepted, Code: a.code, After: after(s, before, a.object(), deleted)}
	}
	if s.Verb == remedy.Evict {
		if out, known := heldBack(out, s, a); known {
			return out
		}
	}
	refusal, recognized := admission.Recognize(a.says())
	if recognized {
		out = refused(out, act, s, refusal, gates)
		if s.Verb == remedy.Evict && refusal.Kind == admission.Denied && a.code == http.StatusTooManyRequests {
			out.Said, out.Next = remedy.Held, askedAgain
		}
		return out
	}
	switch a.code {
	case http.StatusNotFound:
		if a.notFound() && s.Verb != remedy.Create {
			return gone(s.Ref)
		}
		out.Said = remedy.Failed
		if a.notFound() { // of the namespace
			out.Said, out.Next = remedy.Refused, "make namespace "+s.Ref.Namespace+" first"
		}
	case http.StatusConflict:
		if s.Verb == remedy.Create {
			if a.status != nil && a.status.Reason == metav1.StatusReasonAlreadyExists {
				out.Said = remedy.Replaced
				return out
			}
			out.Said = remedy.Refused
			return out
		}
		return c.moved(ctx, s, out, remedy.Refused)
	case http.StatusUnprocessableEntity:
		if d := a.status; d != nil && d.Details != nil && len(d.Details.Causes) > 0 && d.Details.Causes[0].Field != "" {
			out.By = "validation of " + d.Details.Causes[0].Field
		}
		if s.Verb == remedy.Create {
			out.Said = remedy.Refused
			return out
		}
		return c.moved(ctx, s, out, remedy.Refused)
	case http.StatusForbidden:
		out.Said = remedy.Refused
		if rbac(a) {
			out.By, out.Next = "RBAC", nextRBAC(s.Ref)
		}
	case http.StatusUnauthorized:
		out.Said, out.Next = remedy.Failed, "log in again: the API server does not take the credentials any more"
	case http.StatusTooManyRequests:
		out.Said, out.Text, out.Next = remedy.Failed, "the API server could not say whether it takes this: it is too busy: "+out.Text, "run it again: nothing was changed"
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge:
		out.Said = remedy.Refused
	default:
		out.Said, out.Text, out.Next = remedy.Failed, "the API server could not say whether it takes this: "+out.Text, "run it again: nothing was changed"
	}
	return out
}

// compare says whether the object is the one of the plan, and as it was.
func compare(s remedy.Step, obj *unstructured.Unstructured) (remedy.Answer, bool) {
	switch {
	case obj.GetUID() != s.Ref.UID:
		return remedy.Answer{Said: remedy.Replaced, Text: (&Swapped{Ref: s.Ref, Now: obj.GetUID()}).Error()}, false
	case s.Verb == remedy.Evict || s.Ref.Kind == snapshot.Node:
		// A pod's status and a node's heartbeat change all the time. The guards run again where more than that did, and what is tried here was made anew for
		// the object as it is.
	case obj.GetResourceVersion() != s.ResourceVersion:
		return remedy.Answer{
			Said: remedy.Changed,
			Text: fmt.Sprintf("%s was changed since the plan was made: resourceVersion %s, and %s then", s.Ref, obj.GetResourceVersion(), s.ResourceVersion),
			Next: "make the plan again",
		}, false
	}
	return remedy.Answer{}, true
}

// moved looks whether the object changed between the look and the dry run: then that is why it was not taken.
func (c *Client) moved(ctx context.Context, s remedy.Step, out remedy.Answer, otherwise remedy.Said) remedy.Answer {
	obj, err := c.Read(ctx, s.Ref)
	switch {
	case apierrors.IsNotFound(err):
		return gone(s.Ref)
	case err != nil:
		out.Said = remedy.Failed
		return out
	}
	if a, ok := compare(s, obj); !ok {
		a.Code = out.Code
		return a
	}
	if s.Verb != remedy.Evict && obj.GetResourceVersion() != s.ResourceVersion {
		out.Said, out.Next = remedy.Changed, "run it again: it was changed between the look and the dry run"
		return out
	}
	out.Said = otherwise
	return out
}

func gone(ref snapshot.Ref) remedy.Answer {
	return remedy.Answer{Said: remedy.Gone, Code: http.StatusNotFound, Text: ref.String() + " does not exist any more"}
}

func nextRBAC(ref snapshot.Ref) string {
	return fmt.Sprintf("ask for the ClusterRole %s in %s (docs/RIGHTS.md)", Role, where(ref))
}

func where(ref snapshot.Ref) string {
	if ref.Namespace == "" {
		return "the cluster"
	}
	return "namespace " + ref.Namespace
}

// after is what would be left of the object: what the API server answered a dry run with is the object as it would be.
func after(s remedy.Step, before, answer *unstructured.Unstructured, deleted bool) string {
	switch {
	case s.Verb == remedy.Create:
		return "created"
	case s.Verb == remedy.Evict:
		return afterEviction(before)
	case s.Change != nil && answer != nil && answer.GetUID() == s.Ref.UID:
		return stateOf(s, answer)
	case answer != nil && answer.GetUID() == s.Ref.UID:
	case before == nil || s.Verb == remedy.Patch:
		return ""
	case len(before.GetFinalizers()) > 0:
		answer = before
	default:
		return "gone"
	}
	if deleted && len(answer.GetFinalizers()) == 0 {
		return "gone"
	}
	return state(answer)
}

// afterEviction is how a pod is that was evicted. The answer to an eviction is not the pod.
func afterEviction(pod *unstructured.Unstructured) string {
	if pod == nil {
		return ""
	}
	held := ""
	if f := pod.GetFinalizers(); len(f) > 0 {
		held = ", and held by finalizers " + strings.Join(f, ", ")
	}
	grace, found, _ := unstructured.NestedInt64(pod.Object, "spec", "terminationGracePeriodSeconds")
	if !found {
		return "being deleted" + held
	}
	return fmt.Sprintf("being deleted, with a grace period of %d s%s", grace, held)
}

// askedAgain is what becomes of an eviction that is held.
var askedAgain = fmt.Sprintf("it is asked for again every %d s until the time is over", int(evictWait.Seconds()))

// heldBack puts into words what disruption budgets say to an eviction; false where the answer is about something else.
func heldBack(out remedy.Answer, s remedy.Step, a reply) (remedy.Answer, bool) {
	words := budget(a)
	switch {
	case badBudget(a):
		out.Said, out.By = remedy.Refused, "a PodDisruptionBudget whose own status forbids it"
		out.Next = fmt.Sprintf("its controller is at fault: kubectl get poddisruptionbudgets -n %s -o yaml", s.Ref.Namespace)
		return out, true
	case severalBudgets(a):
		out.Said, out.By = remedy.Refused, "its disruption budgets: several select the pod"
		out.Next = fmt.Sprintf("leave one of them: kubectl get poddisruptionbudgets -n %s", s.Ref.Namespace)
		return out, true
	case words == "":
		return out, false
	}
	out.Said, out.Text, out.By = remedy.Refused, words, "a PodDisruptionBudget"
	if name := budgetName(a); name != "" {
		out.By = fmt.Sprintf("PodDisruptionBudget %s/%s", s.Ref.Namespace, name)
	}
	if a.code == http.StatusTooManyRequests {
		out.Said, out.Next = remedy.Held, askedAgain
	}
	return out, true
}

// rbac tells a refusal of the authorizer from one of admission: both are 403, and the authorizer's names the user
// (apiserver/pkg/endpoints/handlers/responsewriters/errors.go).
func rbac(a reply) bool {
	return a.code == http.StatusForbidden && a.status != nil && strings.Contains(a.status.Message, `is forbidden: User "`) && strings.Contains(a.status.Message, " cannot ")
}

// refused puts what admission said into words, with the state of who said it.
func refused(out remedy.Answer, act remedy.Act, s remedy.Step, r admission.Refusal, gates Gates) remedy.Answer {
	out.Said = remedy.Refused
	if r.Kind == admission.NoDryRun {
		out.Said = remedy.Untestable
	}
	var known []admission.Gate
	if gates != nil {
		known = gates(act, s)
	}
	gate, found := match(r, known)
	out.By = by(r, gate, found)
	if found {
		out.Backend = gate.Backend.Why
	}
	out.Next = next(r, gate, found)
	if who := changers(known); r.Kind == admission.Immutable && who != "" {
		out.By += "; what changes updates of this pod is " + who
	}
	return out
}

// match finds the gate that refused. Webhooks of several configurations may have one name: then the host decides, and where that does not either, none.
func match(r admission.Refusal, known []admission.Gate) (admission.Gate, bool) {
	var hits []admission.Gate
	for _, g := range known {
		sameName := r.Name != "" && g.Name == r.Name && (r.By == "" || r.By == g.Kind || webhook(r.By) && webhook(g.Kind))
		sameHost := r.Host() == "" || g.Host == "" || g.Host == r.Host()
		if sameName && sameHost && (r.Binding == "" || g.Binding.Name == r.Binding) {
			hits = append(hits, g)
		}
	}
	if len(hits) != 1 {
		return admission.Gate{}, false
	}
	return hits[0], true
}

func webhook(k admission.GateKind) bool {
	return k == admission.MutatingWebhook || k == admission.ValidatingWebhook
}

func by(r admission.Refusal, g admission.Gate, found bool) string {
	if r.Kind == admission.Immutable {
		return "the pod's validation: a field that may not change was changed on the way"
	}
	what := "admission"
	switch r.By {
	case admission.MutatingPolicy:
		what = "MutatingAdmissionPolicy"
	case admission.ValidatingPolicy:
		what = "ValidatingAdmissionPolicy"
	case admission.MutatingWebhook, admission.ValidatingWebhook:
		what = "webhook"
	}
	if r.By == "" && found && webhook(g.Kind) {
		what = "webhook"
	}
	if r.Name != "" {
		what += " " + r.Name
	}
	switch {
	case found && webhook(g.Kind):
		what += " of " + string(g.Ref.Kind) + " " + g.Ref.Name
	case r.Binding != "":
		what += " with binding " + r.Binding
	}
	return what
}

func next(r admission.Refusal, g admission.Gate, found bool) string {
	look := ""
	if found {
		info, ok := snapshot.InfoOf(g.Ref.Kind)
		if ok {
			look = fmt.Sprintf(": kubectl get %s.%s %s -o yaml", info.GVR.Resource, info.GVR.Group, g.Ref.Name)
		}
	}
	switch r.Kind {
	case admission.Unreachable:
		if found && !g.Backend.Service.IsZero() {
			return fmt.Sprintf("restore the server of Service %s/%s, or narrow or remove the configuration that asks it%s", g.Backend.Service.Namespace, g.Backend.Service.Name, look)
		}
		return "restore the webhook's server, or narrow or remove the configuration that asks it" + look
	case admission.Denied:
		return "its owner knows what it wants; what it says is its own judgement" + look
	case admission.Misconfigured:
		return "restore its parameters or correct its expressions, or remove its binding" + look
	case admission.Immutable:
		return "find what changes the pod on its way: a mutating webhook or policy that is asked about updates of pods that are being deleted; exclude them there"
	case admission.NoDryRun:
		return "it has side effects, so nothing can be tried before: carry it out without --dry-run, or have its owner declare sideEffects: NoneOnDryRun" + look
	}
	return ""
}
