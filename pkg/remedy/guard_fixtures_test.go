package remedy

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// guardCase is one line of a fixture's header:
//
//	# case: pods | rungs | options | block, warn, lifted or none | what a reason says
//
// Pods and rungs are separated by commas, options by semicolons. A guard that looks at whole runs is asked once, with all pods; another is asked about each.
type guardCase struct {
	line    string
	pods    []snapshot.Ref
	rungs   []ID
	asked   Asked
	planned string
	want    string
	says    string
}

func guardFixtures(t *testing.T) map[string][]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/guards/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures of guards: %v", err)
	}
	out := map[string][]string{}
	for _, p := range paths {
		name, _, _ := strings.Cut(filepath.Base(p), ".")
		if strings.HasPrefix(name, "node-") {
			continue // those of nodes have cases of another form: guard_node_fixtures_test.go
		}
		out[name] = append(out[name], p)
	}
	return out
}

// podGuards are the guards of what is done to pods. Those of nodes have tests of their own.
func podGuards() []Guard {
	return slices.DeleteFunc(Guards(), func(g Guard) bool { return g.Node != nil })
}

func guardCases(t *testing.T, path string) []guardCase {
	t.Helper()
	f, err := os.Open(path) //nolint:gosec // a test names its own fixture
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []guardCase
	for sc := bufio.NewScanner(f); sc.Scan() && strings.HasPrefix(sc.Text(), "#"); {
		line, ok := strings.CutPrefix(sc.Text(), "# case: ")
		if !ok {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 5 {
			t.Fatalf("%s: a case has five parts: %s", path, line)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		g := guardCase{line: line, want: parts[3], says: parts[4]}
		for _, p := range strings.Split(parts[0], ",") {
			ns, name, _ := strings.Cut(p, "/")
			g.pods = append(g.pods, snapshot.Ref{Kind: snapshot.Pod, Namespace: ns, Name: name})
		}
		for _, r := range strings.Split(parts[1], ",") {
			if !slices.Contains(changes(), ID(r)) {
				t.Fatalf("%s: no rung %q", path, r)
			}
			g.rungs = append(g.rungs, ID(r))
		}
		for _, o := range strings.Split(parts[2], ";") {
			k, v, _ := strings.Cut(strings.TrimSpace(o), "=")
			n, _ := strconv.Atoi(v)
			switch k {
			case "":
			case "attest":
				g.asked.Attest = v
			case "lift":
				g.asked.Lifted = append(g.asked.Lifted, v)
			case "named":
				g.asked.Named = strings.Split(v, ",")
			case "also":
				g.asked.Finalizers = true
			case "planned":
				g.planned = v
			case "max-pods":
				g.asked.MaxPods = n
			case "max-share":
				g.asked.MaxShare = n
			default:
				t.Fatalf("%s: no option %q", path, k)
			}
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		t.Fatalf("%s: it has no cases", path)
	}
	return out
}

func guardPicture(s *snapshot.Snapshot) *Picture {
	found := stuck.Find(s, stuck.Options{})
	return NewPicture(s, found, diagnose.Run(s, found, causes.All()))
}

// ask asks one guard, through the cases of the picture, with s in the place of its snapshot.
func ask(t *testing.T, p *Picture, s *snapshot.Snapshot, g Guard, gc guardCase) []Verdict {
	t.Helper()
	run := &Run{Picture: &Picture{S: s, Found: p.Found, D: p.D, chain: p.chain, follower: p.follower}, Asked: gc.asked}
	var out []Verdict
	for _, ref := range gc.pods {
		c, ok := p.Case(ref, gc.asked)
		if !ok {
			t.Fatalf("there is no %s: %s", ref, gc.line)
		}
		c.S, c.Planned = s, types.UID(gc.planned)
		run.Cases, run.Remedies = append(run.Cases, c), append(run.Remedies, gc.rungs)
		for _, id := range gc.rungs {
			if g.Check == nil || len(g.For) > 0 && !slices.Contains(g.For, id) {
				continue
			}
			for _, v := range g.Check(c, Remedy{ID: id}) {
				out = append(out, complete(v, g))
			}
		}
	}
	if g.Run != nil {
		for _, v := range g.Run(run) {
			out = append(out, complete(v, g))
		}
	}
	return out
}

func outcome(vs []Verdict) string {
	said := "none"
	for _, v := range vs {
		switch {
		case v.Blocks():
			return "block"
		case v.Lifted:
			said = "lifted"
		case said == "none":
			said = "warn"
		}
	}
	return said
}

func TestGuardsSayWhatTheirFixturesExpect(t *testing.T) {
	fixtures := guardFixtures(t)
	for _, g := range podGuards() {
		for _, path := range fixtures[g.Name] {
			fx := snapshottest.Load(t, path)
			p := guardPicture(fx.Snapshot)
			for _, gc := range guardCases(t, path) {
				vs := ask(t, p, fx.Snapshot, g, gc)
				if got := outcome(vs); got != gc.want {
					t.Errorf("%s: %s\n\tit said %s: %+v", path, gc.line, got, vs)
					continue
				}
				if !slices.ContainsFunc(vs, func(v Verdict) bool { return strings.Contains(v.Reason, gc.says) }) && gc.says != "" {
					t.Errorf("%s: %s\n\tno reason says so: %+v", path, gc.line, vs)
				}
				for _, v := range vs {
					guardSpeaksWell(t, path, g, v)
				}
			}
		}
	}
}

func guardSpeaksWell(t *testing.T, path string, g Guard, v Verdict) {
	t.Helper()
	switch {
	case v.Guard != g.Name:
		t.Errorf("%s: a verdict of %s calls itself %q", path, g.Name, v.Guard)
	case v.Level != Warn && v.Level != Block:
		t.Errorf("%s: %s gives the level %q", path, g.Name, v.Level)
	case len(v.Evidence) == 0:
		t.Errorf("%s: %s cites nothing: %s", path, g.Name, v.Reason)
	case !strings.HasSuffix(v.Reason, ".") || strings.HasSuffix(v.Reason, "..") || strings.Contains(v.Reason, "  ") || strings.Contains(v.Reason, ". .") || strings.Contains(v.Reason, "%!"):
		t.Errorf("%s: %s is not worded as sentences: %q", path, g.Name, v.Reason)
	case strings.ContainsFunc(v.Reason, unicode.IsControl):
		t.Errorf("%s: %s has control characters: %q", path, g.Name, v.Reason)
	case v.Lifted && v.By == "":
		t.Errorf("%s: %s was lifted by nothing", path, g.Name)
	}
	for _, e := range v.Evidence {
		if e.Object == "" || e.Field == "" || e.Value == "" {
			t.Errorf("%s: %s cites %+v", path, g.Name, e)
		}
	}
}

func TestEveryGuardHasItsFixtures(t *testing.T) {
	fixtures := guardFixtures(t)
	for _, g := range podGuards() {
		var speaks, silent, blocks, lifted, unread bool
		for _, path := range fixtures[g.Name] {
			twin := strings.HasSuffix(path, ".twin.yaml")
			fx := snapshottest.Load(t, path)
			for _, gc := range guardCases(t, path) {
				speaks = speaks || !twin && gc.want != "none"
				silent = silent || twin && gc.want == "none"
				blocks, lifted = blocks || gc.want == "block", lifted || gc.want == "lifted"
				unread = unread || len(fx.Header["unread"]) > 0 && slices.ContainsFunc(g.Needs, func(k snapshot.Kind) bool { return slices.Contains(fx.Header["unread"], string(k)) })
				if twin && gc.want != "none" {
					t.Errorf("%s: in a twin the guard has nothing to say: %s", path, gc.line)
				}
			}
		}
		if !speaks || !silent {
			t.Errorf("%s: want a case in %s.yaml in which it speaks (%t), and one in a twin in which it does not (%t)", g.Name, g.Name, speaks, silent)
		}
		// The attestation is lifted by other words, which its twin has.
		if g.Flag != "" && !(blocks && lifted) {
			t.Errorf("%s can be lifted by --%s: want a case that blocks (%t) and one that is lifted (%t)", g.Name, g.Flag, blocks, lifted)
		}
		if g.Flag == "" && lifted {
			t.Errorf("%s is lifted in a fixture, and names no flag that does", g.Name)
		}
		if len(g.Needs) > 0 && !unread {
			t.Errorf("%s needs %v: want a case in which one of them could not be read", g.Name, g.Needs)
		}
		delete(fixtures, g.Name)
	}
	for name, paths := range fixtures {
		t.Errorf("fixtures without a guard %s: %v", name, paths)
	}
}

func TestEveryGuardIsOneFileAndWellDescribed(t *testing.T) {
	paths, err := filepath.Glob("guard_*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for _, p := range paths {
		if !strings.HasSuffix(p, "_test.go") {
			files[p] = true
		}
	}
	names := map[string]bool{}
	for _, g := range Guards() {
		file := "guard_" + strings.ReplaceAll(g.Name, "-", "_") + ".go"
		if !files[file] {
			t.Errorf("%s has no file %s", g.Name, file)
		}
		delete(files, file)
		if names[g.Name] {
			t.Errorf("there are two guards %s", g.Name)
		}
		names[g.Name] = true
		if !strings.HasSuffix(g.Prevents, ".") || len(g.Prevents) < 40 {
			t.Errorf("%s does not say what it prevents in a sentence: %q", g.Name, g.Prevents)
		}
		if asks := []bool{g.Check != nil, g.Run != nil, g.Node != nil}; len(slices.DeleteFunc(asks, func(has bool) bool { return !has })) != 1 {
			t.Errorf("%s: want one of Check, Run and Node", g.Name)
		}
		if (g.Flag == "") != (g.Lifts == "") || !strings.HasPrefix(g.Lifts, g.dashed()) {
			t.Errorf("%s: the flag %q and how help shows it, %q, do not agree", g.Name, g.Flag, g.Lifts)
		}
		if (len(g.For) > 0) == (g.Run != nil) && g.Name != "replaced" {
			t.Errorf("%s: a guard of single acts says for which rungs, one of runs does not", g.Name)
		}
	}
	for f := range files {
		t.Errorf("%s holds no guard of the list", f)
	}
}

func (g Guard) dashed() string {
	if g.Flag == "" {
		return ""
	}
	return "--" + g.Flag
}

func TestGuardsReadWhatTheyDeclare(t *testing.T) {
	fixtures := guardFixtures(t)
	for _, g := range podGuards() {
		read := map[snapshot.Kind]bool{}
		for _, path := range fixtures[g.Name] {
			fx := snapshottest.Load(t, path)
			p := guardPicture(fx.Snapshot)
			rec, reads := fx.Snapshot.Recorded()
			for _, gc := range guardCases(t, path) {
				ask(t, p, rec, g, gc)
			}
			for _, k := range reads.Kinds() {
				read[k] = true
			}
		}
		for k := range read {
			if k != snapshot.Pod && !slices.Contains(g.Needs, k) {
				t.Errorf("%s reads %s and does not declare it", g.Name, k)
			}
		}
		for _, k := range g.Needs {
			if !read[k] {
				t.Errorf("%s declares that it needs %s, and looked at none over its fixtures", g.Name, k)
			}
		}
	}
}
