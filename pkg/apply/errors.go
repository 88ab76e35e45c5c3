package apply

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Blocked says that guards forbid what was to be done.
type Blocked struct {
	Ref      snapshot.Ref // zero where they forbid the run as a whole
	Verdicts []remedy.Verdict
}

func (e *Blocked) Error() string {
	var says []string
	for _, v := range e.Verdicts {
		if v.Blocks() {
			says = append(says, v.Guard+": "+v.Reason)
		}
	}
	what := "the run"
	if !e.Ref.IsZero() {
		what = e.Ref.String()
	}
	return fmt.Sprintf("%s: a guard forbids it: %s", what, strings.TrimSuffix(strings.Join(says, "; "), "."))
}

// Lacking says that rights are missing.
type Lacking struct {
	Missing []report.MissingRight
}

func (e *Lacking) Error() string {
	var says []string
	for _, m := range e.Missing {
		what := m.Resource
		if m.Subresource != "" {
			what += "/" + m.Subresource
		}
		if m.Name != "" {
			what += " " + m.Name
		}
		if m.Namespace != "" {
			what += " in namespace " + m.Namespace
		}
		says = append(says, m.Verb+" "+what)
	}
	return fmt.Sprintf("rights are missing: %s; the ClusterRole %s has them", strings.Join(says, ", "), Role)
}

// Swapped says that another object has the name now. It is remedy.ErrReplaced.
type Swapped struct {
	Ref snapshot.Ref // as planned, with its UID
	Now types.UID
}

func (e *Swapped) Error() string {
	return fmt.Sprintf("%s has UID %s now, and the plan is for UID %s: it is another object, and was not touched", e.Ref, e.Now, e.Ref.UID)
}

// Unwrap makes it remedy.ErrReplaced.
func (e *Swapped) Unwrap() error { return remedy.ErrReplaced }

// Moved says that the object was changed by somebody else each time it was to be written.
type Moved struct {
	Ref   snapshot.Ref
	Times int // how often the guards were run again
}

func (e *Moved) Error() string {
	return fmt.Sprintf("%s keeps changing: the guards were run again %d times, and it was changed once more each time", e.Ref, e.Times)
}

// Riskier says that the object changed, and that what was agreed to would cost more now.
type Riskier struct {
	Ref     snapshot.Ref
	Was, Is diagnose.Risk
}

func (e *Riskier) Error() string {
	return fmt.Sprintf("%s was changed meanwhile: the risk of this is %s now, and was %s when it was confirmed", e.Ref, e.Is, e.Was)
}

// Taken says that the name of an object that was to be created is in use.
type Taken struct {
	Ref snapshot.Ref
	UID types.UID
}

func (e *Taken) Error() string {
	return fmt.Sprintf("%s exists, with UID %s: the name is taken, and nothing was created", e.Ref, e.UID)
}

// Vanished says that an object that was to be changed does not exist any more.
type Vanished struct {
	Ref snapshot.Ref
}

func (e *Vanished) Error() string {
	return fmt.Sprintf("%s with UID %s does not exist any more, so it cannot be changed", e.Ref, e.Ref.UID)
}

// Interrupted says that the person, or a time limit of theirs, ended the run before it was through.
type Interrupted struct {
	Cause error
}

func (e *Interrupted) Error() string { return fmt.Sprintf("interrupted: %v", e.Cause) }

// Unwrap gives the context's own error.
func (e *Interrupted) Unwrap() error { return e.Cause }

// Unwritten says that the journal could not be written.
type Unwritten struct {
	What string // what was to be done, or was done
	// Sent tells that something had left for the API server already: Outcome is what came of it, and stands nowhere else.
	Sent    bool
	Outcome *remedy.Outcome
	Err     error
}

func (e *Unwritten) Error() string {
	if !e.Sent {
		return fmt.Sprintf("the journal cannot be written, so nothing was sent (%s): %v", e.What, e.Err)
	}
	says := "the call was sent"
	if e.Outcome != nil {
		says = fmt.Sprintf("%s: %s", e.Outcome.Status, e.Outcome.Text)
	}
	return fmt.Sprintf("the journal cannot be written any more, and does not hold this: %s: %s. Nothing else was tried. The journal's error: %v", e.What, says, e.Err)
}

// Unwrap gives the journal's own error.
func (e *Unwritten) Unwrap() error { return e.Err }

// Expired says that a plan is too old to be carried out.
type Expired struct {
	At, Now time.Time
}

func (e *Expired) Error() string {
	return fmt.Sprintf("the plan expired at %s, and it is %s: make it again", e.At.UTC().Format(time.RFC3339), e.Now.UTC().Format(time.RFC3339))
}

// WrongCluster says that the plan is for another cluster.
type WrongCluster struct {
	Planned, Here string // UIDs of the Namespace kube-system; Here is empty where it could not be read
}

func (e *WrongCluster) Error() string {
	if e.Here == "" {
		return fmt.Sprintf("the plan creates objects in the cluster whose Namespace kube-system has UID %s, and whether this is that cluster cannot be read", e.Planned)
	}
	return fmt.Sprintf("the plan is for another cluster: its Namespace kube-system has UID %s, and the one of this cluster has %s", e.Planned, e.Here)
}

// BadPlan says that a plan is not one that this tool makes.
type BadPlan struct {
	Why string
}

func (e *BadPlan) Error() string { return "not a plan that can be carried out: " + e.Why }
