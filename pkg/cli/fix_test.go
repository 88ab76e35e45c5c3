package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// plan is one of a force delete of so many pods.
func planOf(risk diagnose.Risk, names ...string) remedy.Plan {
	grace := int64(0)
	p := remedy.Plan{
		APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Made: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Expires: time.Date(2026, 3, 1, 10, 10, 0, 0, time.UTC),
		Cluster: remedy.Cluster{Context: "shop-prod", Server: "https://127.0.0.1:6443", ID: "id-1"}, Asked: remedy.Asked{Force: true},
	}
	for _, n := range names {
		ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: n, UID: "uid-1"}
		p.Acts = append(p.Acts, remedy.Act{
			Target: ref, Node: "worker-1", Risk: risk, Remedies: []remedy.ID{remedy.ForceDelete},
			Steps: []remedy.Step{{Verb: remedy.Delete, Ref: ref, ResourceVersion: "7", Grace: &grace, What: "delete pod shop/" + n}},
		})
	}
	return p
}

func TestTheWordThatConfirms(t *testing.T) {
	for name, c := range map[string]struct {
		risk     diagnose.Risk
		pods     []string
		yes      string
		terminal bool
		typed    string
		want     bool
	}{
		"nobody there, no flag":                       {risk: diagnose.RiskLow, pods: []string{"cart-0"}},
		"nobody there, --yes":                         {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, yes: "yes", want: true},
		"--yes=true":                                  {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, yes: "true", want: true},
		"--yes with the name where yes would do":      {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, yes: "cart-0", want: true},
		"--yes with another name where yes would do":  {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, yes: "cart-1"},
		"a pod called yes":                            {risk: diagnose.RiskDataLoss, pods: []string{"yes"}, yes: "yes"},
		"a pod called yes, with its namespace":        {risk: diagnose.RiskDataLoss, pods: []string{"yes"}, yes: "shop/yes", want: true},
		"data may be lost, bare --yes":                {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, yes: "yes"},
		"data may be lost, --yes":                     {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, yes: "true"},
		"data may be lost, --yes with another name":   {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, yes: "cart-1"},
		"data may be lost, --yes with the name":       {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, yes: "cart-0", want: true},
		"data of two may be lost, --yes with one":     {risk: diagnose.RiskDataLoss, pods: []string{"cart-0", "cart-1"}, yes: "cart-0"},
		"data of two may be lost, --yes with number":  {risk: diagnose.RiskDataLoss, pods: []string{"cart-0", "cart-1"}, yes: "2", want: true},
		"an unknown risk is the worst":                {risk: "odd", pods: []string{"cart-0"}, yes: "true"},
		"typed yes":                                   {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, terminal: true, typed: "yes\n", want: true},
		"typed nothing":                               {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, terminal: true, typed: "\n"},
		"typed y":                                     {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, terminal: true, typed: "y\n"},
		"the terminal was closed":                     {risk: diagnose.RiskHigh, pods: []string{"cart-0"}, terminal: true},
		"typed yes where the name is asked for":       {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, terminal: true, typed: "yes\n"},
		"typed the name where the name is asked for":  {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, terminal: true, typed: "cart-0\n", want: true},
		"typed the name of the other of two":          {risk: diagnose.RiskDataLoss, pods: []string{"cart-0", "cart-1"}, terminal: true, typed: "cart-1\n"},
		"the word with blanks around it still counts": {risk: diagnose.RiskDataLoss, pods: []string{"cart-0"}, terminal: true, typed: "  cart-0 \n", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			w := World{
				Streams: genericiooptions.IOStreams{In: strings.NewReader(c.typed), Out: &out, ErrOut: &errOut}, Now: time.Now,
				Interactive: func() bool { return c.terminal },
			}
			plan := planOf(c.risk, c.pods...)
			ch := &change{
				w: w, flags: changeFlags{yes: c.yes}, plan: plan, look: &look{taken: time.Now()},
				doc: &report.Fix{Plan: &plan, Cases: []report.FixCase{}},
			}
			err := ch.confirm(t.Context())
			if (err == nil) != c.want {
				t.Fatalf("confirmed: %v, want %v (%v)\n%s", err == nil, c.want, err, errOut.String())
			}
			var refused refusedError
			if err != nil && !errors.As(err, &refused) {
				t.Errorf("not a refusal: %v", err)
			}
			if c.want && c.terminal && !ch.look.taken.IsZero() {
				t.Error("the guards would not be asked again after a person thought about it")
			}
		})
	}
}

func TestAnInterruptedQuestionIsNoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var errOut bytes.Buffer
	w := World{Streams: genericiooptions.IOStreams{In: r, ErrOut: &errOut}}
	if answer, err := ask(ctx, w, "?"); err == nil {
		t.Errorf("it answered %q", answer)
	}
}

func TestASavedPlanIsHeldAgainstWhatIsThere(t *testing.T) {
	same := planOf(diagnose.RiskHigh, "cart-0")
	change := func(f func(*remedy.Plan)) remedy.Plan {
		p := planOf(diagnose.RiskHigh, "cart-0")
		f(&p)
		return p
	}
	if d := differs(same, planOf(diagnose.RiskHigh, "cart-0")); d != "" {
		t.Errorf("the same plan differs: %s", d)
	}
	if d := differs(same, change(func(p *remedy.Plan) { p.Acts[0].Steps[0].ResourceVersion = "8" })); d != "" {
		t.Errorf("another version of the object is another plan: %s", d)
	}
	if d := differs(change(func(p *remedy.Plan) { p.Acts[0].Risk = diagnose.RiskDataLoss }), same); d != "" {
		t.Errorf("a lower risk than was agreed to: %s", d)
	}
	thirty := int64(30)
	for name, now := range map[string]remedy.Plan{
		"another UID":          change(func(p *remedy.Plan) { p.Acts[0].Steps[0].Ref.UID = "uid-2" }),
		"another verb":         change(func(p *remedy.Plan) { p.Acts[0].Steps[0].Verb = remedy.Patch }),
		"another grace period": change(func(p *remedy.Plan) { p.Acts[0].Steps[0].Grace = &thirty }),
		"other finalizers":     change(func(p *remedy.Plan) { p.Acts[0].Steps[0].Finalizers = []string{"example.com/b"} }),
		"another remedy":       change(func(p *remedy.Plan) { p.Acts[0].Remedies = []remedy.ID{remedy.DeletePod} }),
		"one step more":        change(func(p *remedy.Plan) { p.Acts[0].Steps = append(p.Acts[0].Steps, remedy.Step{}) }),
		"a greater risk":       change(func(p *remedy.Plan) { p.Acts[0].Risk = diagnose.RiskDataLoss }),
	} {
		if differs(same, now) == "" {
			t.Errorf("%s is taken for the same plan", name)
		}
	}
}

func TestAnActThatDoesMoreThanWasAgreedToStops(t *testing.T) {
	ref := snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: "a", UID: "u"}
	act := func(finalizers ...string) remedy.Act {
		return remedy.Act{Target: ref, Steps: []remedy.Step{{Verb: remedy.Patch, Ref: ref, Finalizers: finalizers}}}
	}
	if d := exceeds(act("a", "b"), act("a")); d != "" {
		t.Errorf("less than agreed to: %s", d)
	}
	if exceeds(act("a"), act("a", "b")) == "" {
		t.Error("a finalizer that nobody agreed to would go")
	}
	other := act("a")
	other.Steps[0].Verb = remedy.Delete
	if exceeds(act("a"), other) == "" {
		t.Error("a deletion takes the place of a patch")
	}
}

func TestPlansAreForOneCluster(t *testing.T) {
	here := remedy.Cluster{Server: "https://a", ID: "1"}
	for name, c := range map[string]struct {
		saved, now remedy.Cluster
		ok         bool
	}{
		"the same":                          {here, here, true},
		"another address of the same":       {remedy.Cluster{Server: "https://b", ID: "1"}, here, true},
		"another cluster at the address":    {remedy.Cluster{Server: "https://a", ID: "2"}, here, false},
		"no ID, the same address":           {remedy.Cluster{Server: "https://a"}, here, true},
		"no ID, another address":            {remedy.Cluster{Server: "https://b"}, here, false},
		"no ID may be read, another server": {here, remedy.Cluster{Server: "https://b"}, false},
	} {
		if err := sameCluster(c.saved, c.now); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlanFilesAreHostileInput(t *testing.T) {
	write := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	good := planOf(diagnose.RiskHigh, "cart-0")
	if _, err := readPlan(strings.NewReader(write(good)), "p"); err != nil {
		t.Fatalf("a good plan: %v", err)
	}
	fix := report.Fix{APIVersion: report.APIVersion, Kind: report.KindFix, Plan: &good}
	if _, err := readPlan(strings.NewReader(write(fix)), "p"); err != nil {
		t.Fatalf("a good plan in the document of a dry run: %v", err)
	}
	edit := func(f func(*remedy.Plan)) string {
		p := planOf(diagnose.RiskHigh, "cart-0")
		f(&p)
		return write(p)
	}
	ran := fix
	ran.Run = "20260301-100000-abcdef"
	for name, text := range map[string]string{
		"nothing":               "",
		"no document":           "\x00\xff",
		"a list":                "[]",
		"cut":                   write(good)[:60],
		"deep":                  strings.Repeat("[", 200000),
		"another version":       edit(func(p *remedy.Plan) { p.APIVersion = "kubectl-stuck.dev/v9" }),
		"another kind":          edit(func(p *remedy.Plan) { p.Kind = "Pod" }),
		"no act":                edit(func(p *remedy.Plan) { p.Acts = nil }),
		"no wish":               edit(func(p *remedy.Plan) { p.Asked = remedy.Asked{} }),
		"an undo":               edit(func(p *remedy.Plan) { p.Undoes = "20260301-100000-abcdef" }),
		"no UID":                edit(func(p *remedy.Plan) { p.Acts[0].Target.UID = "" }),
		"a node":                edit(func(p *remedy.Plan) { p.Acts[0].Target.Kind = snapshot.Node }),
		"no namespace":          edit(func(p *remedy.Plan) { p.Acts[0].Target.Namespace = "" }),
		"the same object twice": edit(func(p *remedy.Plan) { p.Acts = append(p.Acts, p.Acts[0]) }),
		"one that ran already":  write(ran),
		"a wrong type":          strings.Replace(write(good), `"force":true`, `"force":"yes"`, 1),
	} {
		if _, err := readPlan(strings.NewReader(text), "p"); err == nil {
			t.Errorf("%s was taken for a plan", name)
		} else if !strings.Contains(err.Error(), "p") {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
}

func TestFilesCannotBeChanged(t *testing.T) {
	nowhere(t)
	dir := filepath.Join(t.TempDir(), "j")
	for _, args := range [][]string{
		{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--finalizers"},
		{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--yes"},
		{"fix", "pod", "held", "-n", "shop", "--from", fixture, "--force", "--dry-run=server"},
	} {
		if r := run(t, append(args, "--journal", dir)...); r.code != ExitUsage {
			t.Errorf("%q: exit code %d\n%s", args, r.code, r.errOut)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a journal was begun for files")
	}
}

func TestWrongCallsOfFix(t *testing.T) {
	nowhere(t)
	for _, args := range [][]string{
		{"fix"}, {"fix", "pod"}, {"fix", "pod", "a", "-l", "app=b"}, {"fix", "pod", "a", "-A"}, {"fix", "pod", "a", "--delete", "--force"},
		{"fix", "pod", "a", "--finalizers="}, {"fix", "pod", "a", "--finalizers=all,x"}, {"fix", "pod", "a", "--force", "--attest", " "},
		{"fix", "pod", "a", "--force", "--attest", "yes"}, {"fix", "pod", "a", "--dry-run=server"}, {"fix", "pod", "a", "--yes"},
		{"fix", "pod", "a", "--force", "--yes=false"}, {"fix", "pod", "a", "--force", "--yes=no"},
		{"fix", "pod", "a", "--force", "--max-pods=0"}, {"fix", "pod", "a", "--force", "--max-share=101"}, {"fix", "pods", "--cause", "ST999"},
		{"fix", "node/a"}, {"fix", "pod", "node/a"}, {"undo", "a", "b"},
	} {
		if r := run(t, args...); r.code != ExitUsage {
			t.Errorf("%q: exit code %d\n%s", args, r.code, r.errOut)
		}
	}
}
