package fix

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/test/faultproxy"
)

// What must hold, whatever goes wrong.
const (
	rightObject = 1 // never a write to another object than the planned one
	noWrite     = 2 // never a write after a guard or a dry run refused
	journaled   = 3 // never a write that is not in the journal before
	truthful    = 4 // what it says and its exit code are true
	orderly     = 5 // no panic, in time, at most three attempts, Retry-After heeded
	resumable   = 6 // the journal can be read, and a second run finishes
	invariants  = 6
)

func invariantName(i int) string {
	return []string{"", "right object", "no write after a refusal", "journal first", "truthful", "orderly", "resumable"}[i]
}

// violation is one thing that did not hold.
type violation struct {
	Invariant int
	Text      string
}

func (v violation) String() string {
	return fmt.Sprintf("%d (%s): %s", v.Invariant, invariantName(v.Invariant), v.Text)
}

// evidence is what is known of a run and of what came after it.
type evidence struct {
	Name   string
	Target *target
	Args   []string
	// Log is what the proxy saw, in the order of arrival.
	Log         []faultproxy.Request
	Runs        []journal
	Code        int
	Out, ErrOut string
	Killed      bool
	Took, Limit time.Duration
	TimedOut    bool
	// Wanted is the exit code of a run that goes well.
	Wanted int
	// Reached tells whether the API shows afterwards what was wanted, and Missing what of it it does not show.
	Reached bool
	Missing string
	// World tells that somebody else changed the object, so that it may be as wanted, or never, without the run.
	World bool
	// Bystander is the object that took the name of the planned one: its UID and version when it did, and afterwards.
	Bystander *bystander
	// Guarded tells that a guard had to block when the object was changed.
	Guarded bool
	History second
	// Again is the second run of the same command, without faults; nil where none was made.
	Again *second
}

type bystander struct {
	UID, NowUID         types.UID
	Version, NowVersion string
}

// second is another command afterwards.
type second struct {
	Code        int
	Out, ErrOut string
	Log         []faultproxy.Request
	// Before and Reached tell whether what was wanted was there before it, and after it.
	Before, Reached bool
	Missing         string
}

// journal is one file of the journal.
type journal struct {
	Path    string
	Record  remedy.Record
	Entries []remedy.Entry
	Torn    bool
	Err     string
}

// readJournal reads the files with none of the plugin's own code but its types.
func readJournal(dir string) []journal {
	files, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	slices.Sort(files)
	var out []journal
	for _, path := range files {
		j := journal{Path: path}
		data, err := os.ReadFile(path)
		if err != nil {
			j.Err = err.Error()
		}
		lines := strings.Split(string(data), "\n")
		for i, line := range lines {
			if strings.TrimSpace(line) == "" {
				continue
			}
			var e remedy.Entry
			if i == 0 {
				err = json.Unmarshal([]byte(line), &j.Record)
			} else if err = json.Unmarshal([]byte(line), &e); err == nil {
				j.Entries = append(j.Entries, e)
			}
			if err != nil && i > 0 && strings.TrimSpace(strings.Join(lines[i+1:], "")) == "" {
				j.Torn = true
			} else if err != nil {
				j.Err = fmt.Sprintf("line %d: %v", i+1, err)
			}
		}
		out = append(out, j)
	}
	return out
}

// inJournal tells how often the journal holds the request: as an intent, or for an Event as an entry that says what is sent.
func inJournal(runs []journal, r *faultproxy.Request) int {
	want := r.Method + " " + r.Path
	n := 0
	for _, j := range runs {
		for _, e := range j.Entries {
			path, _, _ := strings.Cut(e.Request, "?")
			if path == want && raw(e.Body) == raw(r.Body) && (e.Type == remedy.Intent || r.Kind == faultproxy.Event) {
				n++
			}
		}
	}
	return n
}

// check holds the evidence against everything that must hold.
func check(e *evidence) []violation {
	var out []violation
	for _, f := range []func(*evidence, func(int, string, ...any)){checkObject, checkRefused, checkJournal, checkTruth, checkOrder, checkAfter} {
		f(e, func(invariant int, format string, a ...any) {
			out = append(out, violation{invariant, fmt.Sprintf(format, a...)})
		})
	}
	return out
}

func checkObject(e *evidence, no func(int, string, ...any)) {
	for i := range e.Log {
		if r := &e.Log[i]; r.Changes() {
			if why := wrongObject(e.Target, r); why != "" {
				no(rightObject, "request %d, %s %s: %s: %s", r.N, r.Method, r.Path, why, r.Body)
			}
		}
	}
	if b := e.Bystander; b != nil && (b.UID != b.NowUID || b.Version != b.NowVersion) {
		no(rightObject, "the pod that took the name (UID %s, version %s) was touched: now UID %q, version %q", b.UID, b.Version, b.NowUID, b.NowVersion)
	}
}

// wrongObject says why a request is not surely about the planned object.
func wrongObject(t *target, r *faultproxy.Request) string {
	if r.Kind == faultproxy.Event {
		var ev struct {
			InvolvedObject struct {
				Name string    `json:"name"`
				UID  types.UID `json:"uid"`
			} `json:"involvedObject"`
		}
		if err := json.Unmarshal(r.Body, &ev); err != nil {
			return err.Error()
		}
		for _, p := range t.Pods {
			if ev.InvolvedObject.Name == p.Name && (t.Creates || ev.InvolvedObject.UID == p.UID) {
				return ""
			}
		}
		return "the Event is about another object"
	}
	base := "/api/v1/namespaces/" + t.Namespace + "/pods"
	if t.Creates {
		var p metav1.PartialObjectMetadata
		if err := json.Unmarshal(r.Body, &p); err != nil || r.Method != http.MethodPost || r.Path != base || !slices.Contains(t.names(), p.Name) {
			return "it does not make the planned pod"
		}
		return ""
	}
	i := slices.IndexFunc(t.Pods, func(p planned) bool { return r.Path == base+"/"+p.Name })
	if i < 0 {
		return "no planned object has this path"
	}
	uid := t.Pods[i].UID
	switch {
	case r.Method == http.MethodDelete:
		var o metav1.DeleteOptions
		if err := json.Unmarshal(r.Body, &o); err != nil {
			return err.Error()
		}
		if o.Preconditions == nil || o.Preconditions.UID == nil || *o.Preconditions.UID != uid || o.Preconditions.ResourceVersion == nil {
			return fmt.Sprintf("its preconditions are not UID %s and a version", uid)
		}
	case r.Method == http.MethodPatch && r.ContentType == string(types.JSONPatchType):
		var ops []struct{ Op, Path, Value string }
		if err := json.Unmarshal(r.Body, &ops); err != nil {
			return err.Error()
		}
		tested, version := false, false
		for k, op := range ops {
			switch {
			case op.Op == "test" && op.Path == "/metadata/uid":
				tested = op.Value == string(uid)
			case op.Op == "test" && op.Path == "/metadata/resourceVersion":
				version = op.Value != ""
			case op.Op == "test":
			case !tested || !version:
				return fmt.Sprintf("it does not test UID %s and a version first", uid)
			case op.Op == "remove":
				if k == 0 || ops[k-1].Op != "test" || ops[k-1].Path != op.Path || !slices.Contains(t.Finalizers, ops[k-1].Value) {
					return "it removes what it did not test, or was not asked for: " + op.Path
				}
			default:
				return "it does more than to remove: " + op.Op
			}
		}
	default:
		return "no such call is in the plan"
	}
	return ""
}

func checkRefused(e *evidence, no func(int, string, ...any)) {
	effective := effective(e.Log)
	if e.Code == 4 && len(effective) > 0 {
		no(noWrite, "exit code 4, and %d writes had an effect, the first %s %s", len(effective), effective[0].Method, effective[0].Path)
	}
	for i := range e.Log {
		w := &e.Log[i]
		if w.Kind != faultproxy.Write {
			continue
		}
		// What the API server said last to a dry run of this call, before.
		var last *faultproxy.Request
		for k := range e.Log[:i] {
			if d := &e.Log[k]; d.Kind == faultproxy.DryRun && d.Method == w.Method && d.Path == w.Path {
				last = d
			}
		}
		switch {
		case last == nil:
			no(noWrite, "%s %s was sent without a dry run", w.Method, w.Path)
		case last.Code < 200 || last.Code > 299:
			no(noWrite, "%s %s was sent although its dry run was answered %d", w.Method, w.Path, last.Code)
		}
		for k := range e.Log[:i] {
			if q := &e.Log[k]; q.Kind == faultproxy.Review && q.Code == http.StatusForbidden && strings.Contains(q.Path, "accessreviews") {
				no(noWrite, "%s %s was sent although a question about rights was refused", w.Method, w.Path)
				break
			}
		}
	}
	if e.Guarded && !e.Killed {
		for i := range e.Log {
			if w := &e.Log[i]; w.Kind == faultproxy.Write && w.Effective() {
				no(noWrite, "a guard forbids it now, and %s %s was done", w.Method, w.Path)
			}
		}
	}
}

func effective(log []faultproxy.Request) []*faultproxy.Request {
	var out []*faultproxy.Request
	for i := range log {
		if log[i].Kind == faultproxy.Write && log[i].Effective() {
			out = append(out, &log[i])
		}
	}
	return out
}

func checkJournal(e *evidence, no func(int, string, ...any)) {
	for i := range e.Log {
		r := &e.Log[i]
		if !r.Changes() {
			continue
		}
		if r.Journal != "" {
			no(journaled, "when %s %s arrived, the journal had no entry for it: %s", r.Method, r.Path, r.Journal)
		}
		// Looked at again now: what was there then must not have gone, and must not be dated later than the request.
		if n := inJournal(e.Runs, r); n == 0 {
			no(journaled, "%s %s is not in the journal: %s", r.Method, r.Path, r.Body)
		}
	}
}

var (
	saysNothing = regexp.MustCompile(`(?i)nothing was (changed|done|written)|no changes? (was|were) made`)
	triedAgain  = regexp.MustCompile(`after (\d+) tries`)
	panics      = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[)|runtime error:|\[signal SIG`)
	nothingLeft = regexp.MustCompile(`(?i)nothing|gone|has no finalizer|does not exist|already|not found|is taken|exists|not being deleted|another object|has UID`)
)

func checkTruth(e *evidence, no func(int, string, ...any)) {
	said := e.Out + e.ErrOut
	did := effective(e.Log)
	if saysNothing.MatchString(said) && len(did) > 0 && !e.Killed {
		no(truthful, "it says %q, and %s %s was done", saysNothing.FindString(said), did[0].Method, did[0].Path)
	}
	if e.Code == 0 && !e.Reached {
		no(truthful, "exit code 0, and %s", e.Missing)
	}
	if len(e.Runs) > 0 && e.Code == 0 {
		j := e.Runs[len(e.Runs)-1]
		if end := ended(j); end != remedy.Done && end != remedy.Already {
			no(truthful, "exit code 0, and the journal ends with %q", end)
		}
	}
	if len(did) > 0 && !e.Killed && !e.TimedOut {
		named := false
		for _, j := range e.Runs {
			named = named || j.Record.ID != "" && strings.Contains(said, j.Record.ID)
		}
		if !named {
			no(truthful, "it changed something and does not name the run")
		}
	}
	if !e.Killed && !e.TimedOut && e.Code != 0 && strings.TrimSpace(e.ErrOut) == "" {
		no(truthful, "exit code %d without a word", e.Code)
	}
	for i := range e.Log {
		r := &e.Log[i]
		if r.Kind != faultproxy.Event {
			continue
		}
		var ev struct{ Reason string }
		_ = json.Unmarshal(r.Body, &ev)
		for reason, verb := range map[string]string{"FinalizersRemoved": http.MethodPatch, "ForceDeleted": http.MethodDelete, "CreatedAgain": http.MethodPost} {
			if ev.Reason == reason && !e.World && !slices.ContainsFunc(did, func(w *faultproxy.Request) bool { return w.Method == verb }) {
				no(truthful, "the Event says %s, and no %s was done", reason, verb)
			}
		}
	}
	for _, j := range e.Runs {
		if !e.Killed && !e.TimedOut && ended(j) == "" {
			no(truthful, "the run ended, and its journal does not: %s", j.Path)
		}
		for _, en := range j.Entries {
			if en.Outcome != nil {
				checkOutcome(e, j, *en.Outcome, no)
			}
		}
	}
}

// ended is the status with which the journal says that the run ended; empty where it does not.
func ended(j journal) remedy.Status {
	for _, en := range j.Entries {
		if en.Type == remedy.End {
			return en.Status
		}
	}
	return ""
}

func checkOutcome(e *evidence, j journal, o remedy.Outcome, no func(int, string, ...any)) {
	if o.Act >= len(j.Record.Plan.Acts) || o.Step >= len(j.Record.Plan.Acts[o.Act].Steps) {
		no(truthful, "an outcome of a step that the plan does not have: %+v", o)
		return
	}
	step := j.Record.Plan.Acts[o.Act].Steps[o.Step]
	var sent, did []*faultproxy.Request
	var last int
	for i := range e.Log {
		r := &e.Log[i]
		same := r.Kind == faultproxy.Write && strings.EqualFold(r.Method, method(step.Verb)) &&
			(strings.HasSuffix(r.Path, "/"+step.Ref.Name) || step.Verb == remedy.Create && strings.Contains(string(r.Body), `"`+step.Ref.Name+`"`))
		if same {
			sent, last = append(sent, r), i
			if r.Effective() {
				did = append(did, r)
			}
		}
	}
	if tries := triedAgain.FindStringSubmatch(o.Text); tries != nil && tries[1] != fmt.Sprint(len(sent)) {
		no(truthful, "the journal says %q, and it was sent %d times", o.Text, len(sent))
	}
	switch o.Status {
	case remedy.Done:
		if len(did) == 0 && !e.World {
			no(truthful, "the journal says that %q was done, and it was not", step.What)
		}
	case remedy.Rejected, remedy.Stopped, remedy.Error, remedy.Skipped:
		if len(did) > 0 {
			no(truthful, "the journal says %s of %q (%s), and it was done", o.Status, step.What, o.Text)
		}
	case remedy.Open:
		// The tool cannot know where no answer to the write was the API server's own, unless the object is gone, or as wanted, for all to see.
		if len(sent) == 0 {
			no(truthful, "unknown, and nothing was sent: %q", o.Text)
			return
		}
		if !slices.ContainsFunc(sent, func(r *faultproxy.Request) bool { return !r.Clean() }) {
			no(truthful, "unknown (%s), and every call was answered", o.Text)
		}
		for i := last + 1; i < len(e.Log); i++ {
			r := &e.Log[i]
			if r.Kind == faultproxy.ReadPod && r.Clean() && r.Code == http.StatusNotFound && step.Verb != remedy.Create && strings.HasSuffix(r.Path, "/"+step.Ref.Name) {
				no(truthful, "unknown (%s), and the object was seen to be gone", o.Text)
				return
			}
		}
	}
}

func method(v remedy.Verb) string {
	if v == remedy.Create {
		return "POST"
	}
	return string(v)
}

func checkOrder(e *evidence, no func(int, string, ...any)) {
	if panics.MatchString(e.ErrOut + e.Out) {
		no(orderly, "it panics: %.600s", e.ErrOut)
	}
	if e.TimedOut {
		no(orderly, "it does not end within %s", e.Limit)
	}
	attempts := map[string]int{}
	for i := range e.Log {
		r := &e.Log[i]
		key := string(r.Kind) + " " + r.Method + " " + r.Path
		if r.Kind == faultproxy.Write {
			if r.Method == http.MethodPost {
				key += raw(r.Body)
			}
			if attempts[key]++; attempts[key] == 4 {
				no(orderly, "%s was sent more than 3 times", key)
			}
		}
		// A read may be tried again before an hour is over: what must not be is that the person waits for it.
		if r.RetryAfter == 0 || r.Answered.IsZero() || r.RetryAfter > time.Minute && (r.Kind == faultproxy.Read || r.Kind == faultproxy.ReadPod) {
			continue
		}
		for k := i + 1; k < len(e.Log); k++ {
			n := &e.Log[k]
			if n.Kind == r.Kind && n.Method == r.Method && n.Path == r.Path && n.Query == r.Query && (r.Kind != faultproxy.Event || raw(n.Body) == raw(r.Body)) {
				if d := n.Arrived.Sub(r.Answered); d >= 0 && d < r.RetryAfter-50*time.Millisecond {
					no(orderly, "%s: told to wait %s, it came again after %s", key, r.RetryAfter, d.Round(time.Millisecond))
				}
				break
			}
		}
	}
}

func checkAfter(e *evidence, no func(int, string, ...any)) {
	for _, j := range e.Runs {
		if j.Err != "" {
			no(resumable, "%s: %s", j.Path, j.Err)
		}
	}
	if h := e.History; h.Code != 0 {
		no(resumable, "history ends with %d: %s", h.Code, h.ErrOut)
	} else if !json.Valid([]byte(h.Out)) {
		no(resumable, "history -o json is no JSON: %.200s", h.Out)
	}
	for _, j := range e.Runs {
		if j.Err == "" && !strings.Contains(e.History.Out, j.Record.ID) {
			no(resumable, "history does not show run %s", j.Record.ID)
		}
	}
	a := e.Again
	if a == nil {
		return
	}
	switch did := effective(a.Log); {
	case panics.MatchString(a.ErrOut):
		no(resumable, "the second run panics: %.600s", a.ErrOut)
	case e.World && !e.Guarded:
		// Somebody else's doing may have made the rest impossible, or done it; that is looked at where it is known.
	case e.Guarded:
		if len(did) > 0 || a.Code == 0 {
			no(resumable, "a guard forbids it, and the second run ended with %d after %d writes", a.Code, len(did))
		}
	case a.Before:
		if len(did) > 0 && !e.Target.Creates {
			no(resumable, "all was done, and the second run did %s %s", did[0].Method, did[0].Path)
		}
		if a.Code != 0 && !nothingLeft.MatchString(a.ErrOut+a.Out) {
			no(resumable, "all was done, and the second run does not say that nothing is left: exit code %d: %s", a.Code, a.ErrOut)
		}
	case !a.Reached:
		no(resumable, "the second run did not finish: exit code %d, %s: %s", a.Code, a.Missing, a.ErrOut)
	case a.Code != e.Wanted:
		no(resumable, "the second run finished, and ended with %d: %s", a.Code, a.ErrOut)
	}
}
