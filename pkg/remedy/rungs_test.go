package remedy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// caseOf makes the case of a fixture in testdata/rungs. Its header names the pod (shop/web-1).
func caseOf(t testing.TB, path string, asked Asked) (*Case, snapshottest.Fixture, *Picture) {
	t.Helper()
	f := snapshottest.Load(t, path)
	found := stuck.Find(f.Snapshot, stuck.Options{})
	p := NewPicture(f.Snapshot, found, diagnose.Run(f.Snapshot, found, causes.All()))
	ns, name, ok := strings.Cut(one(f, "pod"), "/")
	c, there := p.Case(snapshot.Ref{Kind: snapshot.Pod, Namespace: ns, Name: name}, asked)
	if !ok || !there {
		t.Fatalf("%s: its header names no pod that is there: %q", path, one(f, "pod"))
	}
	return c, f, p
}

func one(f snapshottest.Fixture, key string) string { return strings.Join(f.Header[key], " ") }

func fixture(name string) string { return filepath.Join("testdata", "rungs", name) }

func TestEveryRungIsOneFileAndHasAFixtureAndATwin(t *testing.T) {
	files, err := filepath.Glob("rung_*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rung_*.go found: %v", err)
	}
	var made []string // the functions that return a Remedy, one for each file
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Type.Results != nil && len(f.Type.Results.List) == 1 {
				if id, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && id.Name == "Remedy" {
					made = append(made, f.Name.Name)
					n++
				}
			}
		}
		if n != 1 {
			t.Errorf("%s makes %d remedies, want one", file, n)
		}
	}
	source, err := os.ReadFile("remedies.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range made {
		if strings.Count(string(source), name+"()") != 1 {
			t.Errorf("All does not list %s once", name)
		}
	}
	if len(All()) != len(made) {
		t.Errorf("All has %d rungs, and there are %d files", len(All()), len(made))
	}
	seen := map[ID]bool{}
	for _, r := range All() {
		for _, kind := range []string{".yaml", ".twin.yaml"} {
			if _, err := os.Stat(fixture(string(r.ID) + kind)); err != nil {
				t.Error(err)
			}
		}
		if seen[r.ID] || r.Doc == "" || r.Risk == "" || r.By == "" || r.Assess == nil || (r.Steps != nil) != (r.By == ByTool) || (r.Flag != "") != (r.By == ByTool) {
			t.Errorf("%s is there twice, or incomplete", r.ID)
		}
		seen[r.ID] = true
	}
}

// TestRungsStandAsTheirFixturesSay: help, risk, a part of why, a part of a risk, and which rung is offered, as far as the header says.
func TestRungsStandAsTheirFixturesSay(t *testing.T) {
	paths, err := filepath.Glob(fixture("*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures found: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, f, _ := caseOf(t, path, Asked{})
			slug, _, _ := strings.Cut(filepath.Base(path), ".")
			if _, ok := Find(ID(slug)); !ok {
				t.Fatalf("no rung is called %q", slug)
			}
			ladder := Ladder(c)
			var mine []Rung
			offered := ""
			for _, r := range ladder {
				if r.ID == ID(slug) {
					mine = append(mine, r)
				}
				if r.Offered {
					offered += string(r.ID)
				}
			}
			if want := f.Header["offered"]; want != nil && offered != one(f, "offered") {
				t.Errorf("offered is %q, want %q", offered, want)
			}
			if one(f, "help") == "none" {
				if len(mine) > 0 {
					t.Errorf("want no rung, got %+v", mine)
				}
				return
			}
			for _, r := range mine {
				if not := one(f, "not"); not != "" && strings.Contains(r.Title+r.Why, not) {
					t.Errorf("want no rung that speaks of %q, got %+v", not, r)
				}
			}
			for _, r := range mine {
				if string(r.Help) == one(f, "help") && strings.Contains(r.Why, one(f, "why")) && (f.Header["risk"] == nil || string(r.Risk) == one(f, "risk")) &&
					strings.Contains(strings.Join(r.Risks, "\n"), one(f, "says")) {
					return
				}
			}
			t.Errorf("want %v, got %+v", f.Header, mine)
		})
	}
}

// TestWhatIsOfferedIsTheLeastDangerousThatHelpsAndNothingBlocks holds it in every fixture of rungs and causes.
func TestWhatIsOfferedIsTheLeastDangerousThatHelpsAndNothingBlocks(t *testing.T) {
	offers, together := 0, 0
	eachCase(t, func(path string, c *Case, _ *Picture) {
		last := -1
		ladder := Ladder(c)
		// What helps by itself, or may, is offered before what does not.
		alone := func(r Rung) bool { return r.Help == Helps || r.Help == MayHelp }
		fit := func(r Rung) bool {
			remedy, _ := Find(r.ID)
			return remedy.Steps != nil && r.By == ByTool && r.Help != NoHelp && !r.Blocked()
		}
		want := slices.IndexFunc(ladder, func(r Rung) bool { return fit(r) && alone(r) })
		if want < 0 {
			want = slices.IndexFunc(ladder, fit)
		}
		if want >= 0 && !alone(ladder[want]) {
			together++
		}
		for i, r := range ladder {
			at := slices.IndexFunc(All(), func(x Remedy) bool { return x.ID == r.ID })
			if at < last {
				t.Errorf("%s: %s: rung %s is out of order", path, c.Pod.Ref, r.ID)
			}
			last = at
			remedy, _ := Find(r.ID)
			if r.Offered != (i == want) {
				t.Errorf("%s: %s: offered is %v of rung %s (%s)", path, c.Pod.Ref, r.Offered, r.ID, r.Help)
			}
			if r.Offered {
				offers++
				if w, err := remedy.Steps(c); err != nil || len(w.Steps) == 0 {
					t.Errorf("%s: %s: rung %s is offered and cannot be done: %v", path, c.Pod.Ref, r.ID, err)
				}
			}
			if r.Title == "" || r.Why == "" || r.Help == "" || r.Risk == "" || r.By == "" {
				t.Errorf("%s: %s: an incomplete rung %+v", path, c.Pod.Ref, r)
			}
		}
	})
	if offers == 0 || together == 0 || together == offers {
		t.Fatalf("%d rungs were offered, %d of them that do not help alone", offers, together)
	}
}

// eachCase makes a case of every stuck and waiting pod of all fixtures of rungs and causes.
func eachCase(t *testing.T, do func(path string, c *Case, p *Picture)) {
	t.Helper()
	ours, err := filepath.Glob(fixture("*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := filepath.Glob(filepath.Join("..", "causes", "*", "testdata", "*.yaml"))
	if err != nil || len(theirs) == 0 {
		t.Fatalf("no fixtures of causes: %v", err)
	}
	all := causes.All()
	for _, path := range slices.Concat(ours, theirs) {
		f := snapshottest.Load(t, path)
		found := stuck.Find(f.Snapshot, stuck.Options{})
		p := NewPicture(f.Snapshot, found, diagnose.Run(f.Snapshot, found, all))
		for _, x := range slices.Concat(found.Stuck, found.Waiting) {
			c, ok := p.Case(x.Ref, Asked{})
			if !ok {
				t.Fatalf("%s: no case of %s", path, x.Ref)
			}
			do(path, c, p)
		}
	}
}

func TestStepsAreExact(t *testing.T) {
	for name, tc := range map[string]struct {
		path  string
		asked Asked
		verbs []Verb
		says  string // in the kubectl commands
		err   string
		undo  bool
	}{
		"a force delete has grace 0":                        {"force-delete-pod.yaml", Asked{Force: true}, []Verb{Delete}, "kubectl delete pod web-1 -n shop --grace-period=0 --force", "", false},
		"a deletion has the pod's own grace":                {"delete-pod.yaml", Asked{Delete: true}, []Verb{Delete}, "kubectl delete pod web-1 -n shop", "", false},
		"a bare pod can be created again":                   {"delete-pod.twin.yaml", Asked{Delete: true}, []Verb{Delete}, "kubectl delete pod web-1 -n shop", "", true},
		"finalizers are patched off":                        {"remove-finalizers.yaml", Asked{Finalizers: true}, []Verb{Patch}, `{"op":"test","path":"/metadata/uid","value":"p-1"}`, "", false},
		"force comes before finalizers":                     {"remove-finalizers.twin.yaml", Asked{Force: true, Finalizers: true}, []Verb{Delete, Patch}, "--force", "", false},
		"a finalizer that is not there is an error":         {"remove-finalizers.yaml", Asked{Finalizers: true, Named: []string{"c"}}, nil, "", `no finalizer "c"; it has a.example/b`, false},
		"finalizers of a pod without any are an error":      {"force-delete-pod.yaml", Asked{Finalizers: true}, nil, "", "has no finalizers", false},
		"a plan made anew drops what is not there any more": {"remove-finalizers.yaml", Asked{Finalizers: true, Named: []string{"a.example/b", "c"}, Again: true}, []Verb{Patch}, `"a.example/b"`, "", false},
		"a plan made anew with nothing left says so":        {"remove-finalizers.yaml", Asked{Finalizers: true, Named: []string{"c"}, Again: true}, nil, "", ErrNothingLeft.Error(), false},
		"a plan made anew of a pod without any says so":     {"force-delete-pod.yaml", Asked{Finalizers: true, Again: true}, nil, "", ErrNothingLeft.Error(), false},
		"one finalizer that is not there stops the others":  {"remove-finalizers.yaml", Asked{Finalizers: true, Named: []string{"a.example/b", "c"}}, nil, "", `no finalizer "c"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := caseOf(t, fixture(tc.path), tc.asked)
			act, err := c.Act()
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want an error that says %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var verbs []Verb
			commands := ""
			for _, s := range act.Steps {
				verbs = append(verbs, s.Verb)
				commands += strings.Join(s.Kubectl, "\n")
				if s.Ref.UID != "p-1" || s.ResourceVersion != "7" || s.What == "" || s.Undo.How == "" || s.Undo.Can != tc.undo {
					t.Errorf("step %+v", s)
				}
				if grace := s.Grace != nil && *s.Grace == 0; grace != (tc.asked.Force && s.Verb == Delete) {
					t.Errorf("grace of %+v", s)
				}
			}
			if !slices.Equal(verbs, tc.verbs) || !strings.Contains(commands, tc.says) {
				t.Errorf("got %v, %s", verbs, commands)
			}
		})
	}
}

func TestTheOutlookOfRungsTogether(t *testing.T) {
	for name, tc := range map[string]struct {
		path string
		ids  []ID
		want Help
		says string
	}{
		"force alone leaves the finalizers":     {"force-delete-pod.finalizers.yaml", []ID{ForceDelete}, NotAlone, "stay"},
		"finalizers alone wait for the kubelet": {"force-delete-pod.finalizers.yaml", []ID{RemoveFinalizers}, NotAlone, "kubelet"},
		"both together help":                    {"force-delete-pod.finalizers.yaml", []ID{ForceDelete, RemoveFinalizers}, Helps, "without its kubelet"},
		"a webhook refuses":                     {"force-delete-pod.twin.yaml", []ID{ForceDelete}, NoHelp, "webhook pods.engine.example"},
		"a DaemonSet's pod comes back":          {"force-delete-pod.daemonset.yaml", []ID{ForceDelete}, NoHelp, "stick again"},
		"after the final delete force is idle":  {"remove-finalizers.yaml", []ID{ForceDelete, RemoveFinalizers}, Helps, "changes nothing"},
		"nothing chosen is nothing known":       {"remove-finalizers.yaml", nil, MayHelp, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, _ := caseOf(t, fixture(tc.path), Asked{})
			if help, why := Outlook(c, tc.ids); help != tc.want || !strings.Contains(why, tc.says) {
				t.Errorf("got %s: %s", help, why)
			}
		})
	}
}

// TestAPersonsWordMakesNothingLessDangerous asks what is lost of pods that must not run twice, with and without an attestation.
func TestAPersonsWordMakesNothingLessDangerous(t *testing.T) {
	p := guardPicture(snapshottest.Load(t, "testdata/guards/at-most-one.yaml").Snapshot)
	for name, id := range map[string]ID{
		"db-0": ForceDelete, "disk-1": ForceDelete, "ebs-1": ForceDelete, "rox-1": ForceDelete, "orphan-0": ForceDelete, "one-1": ForceDelete, "sum-1": ForceDelete,
		"train-0": ForceDelete, "forced-0": RemoveFinalizers, "zero-0": DeletePod,
	} {
		for _, words := range []string{"", "the machine has no power"} {
			c, ok := p.Case(snapshot.Ref{Kind: snapshot.Pod, Namespace: "shop", Name: name}, Asked{Attest: words})
			if !ok {
				t.Fatalf("there is no %s", name)
			}
			r, _ := Find(id)
			w, err := r.Steps(c)
			if err != nil {
				t.Fatal(err)
			}
			loses := strings.Join(w.Loses, "\n")
			if w.Risk != diagnose.RiskDataLoss || !strings.Contains(loses, "two writers on ") && !strings.Contains(loses, "two pods ") {
				t.Errorf("%s of %s with the words %q: %s, %q", id, name, words, w.Risk, loses)
			}
			if strings.Contains(loses, "if your word is wrong: ") != (words != "") {
				t.Errorf("%s of %s with the words %q: %q", id, name, words, loses)
			}
		}
	}
}
