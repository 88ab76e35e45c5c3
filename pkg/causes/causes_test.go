package causes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// files are the fixtures of one cause, by what they are for.
type files struct{ fixture, twin, log, logTwin []string }

// discover finds every fixture below the folders of causes, by slug. Nothing is listed by hand.
func discover(t *testing.T) map[string]*files {
	t.Helper()
	found := map[string]*files{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		dir, name := filepath.Split(path)
		if filepath.Base(filepath.Clean(dir)) != "testdata" {
			return nil
		}
		slug, rest, _ := strings.Cut(name, ".")
		f := found[slug]
		if f == nil {
			f = &files{}
			found[slug] = f
		}
		switch rest {
		case "yaml":
			f.fixture = append(f.fixture, path)
		case "twin.yaml":
			f.twin = append(f.twin, path)
		case "log":
			f.log = append(f.log, path)
		case "twin.log":
			f.logTwin = append(f.logTwin, path)
		default:
			t.Errorf("%s: a fixture is <slug>.yaml, <slug>.twin.yaml, <slug>.log or <slug>.twin.log", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no fixtures found at all")
	}
	return found
}

// catalogue returns every cause, and fails where there is none.
func catalogue(t *testing.T) []diagnose.Cause {
	t.Helper()
	all := causes.All()
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	return all
}

// judges tells whether the cause can recognise anything from the API's objects.
func judges(c diagnose.Cause) bool {
	return c.Recognisable()
}

func TestEveryCauseHasOneFixtureAndOneTwin(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil {
			f = &files{}
		}
		delete(found, c.Slug)
		switch {
		case judges(c) && (len(f.fixture) != 1 || len(f.twin) != 1):
			t.Errorf("%s %s: want one %s.yaml and one %s.twin.yaml, have %v and %v", c.Code, c.Slug, c.Slug, c.Slug, f.fixture, f.twin)
		case !judges(c) && len(f.fixture)+len(f.twin) > 0:
			t.Errorf("%s %s recognises nothing in the API's objects and yet has fixtures of them: %v %v", c.Code, c.Slug, f.fixture, f.twin)
		case !judges(c) && len(c.Log) > 0 && (len(f.log) != 1 || len(f.logTwin) != 1):
			t.Errorf("%s %s lives from log lines alone: want one %s.log and one %s.twin.log, have %v and %v", c.Code, c.Slug, c.Slug, c.Slug, f.log, f.logTwin)
		case len(f.log) > 1 || len(f.logTwin) > 1 || len(f.log) != len(f.logTwin):
			t.Errorf("%s %s: log fixtures come in pairs, have %v and %v", c.Code, c.Slug, f.log, f.logTwin)
		}
		for _, path := range slices.Concat(f.fixture, f.twin, f.log, f.logTwin) {
			source := filepath.Join(filepath.Dir(filepath.Dir(path)), strings.ReplaceAll(c.Slug, "-", "_")+".go")
			if _, err := os.Stat(source); err != nil {
				t.Errorf("%s %s: its fixture lies in %s, so its source should be %s: %v", c.Code, c.Slug, path, source, err)
			}
		}
	}
	for slug, f := range found {
		t.Errorf("fixtures without a cause of slug %s: %v", slug, slices.Concat(f.fixture, f.twin, f.log, f.logTwin))
	}
}

// run diagnoses one fixture. A rule that fails is a failure here, and not a mere skip.
func run(t *testing.T, f snapshottest.Fixture, all ...diagnose.Cause) (stuck.Result, diagnose.Diagnosis) {
	t.Helper()
	found := stuck.Find(f.Snapshot, stuck.Options{})
	d := diagnose.Run(f.Snapshot, found, all, f.Header["want-node"]...)
	for _, s := range d.Skips {
		if strings.Contains(s.Reason, "the rule failed") {
			t.Errorf("%s: %s %s: %s", f.Path, s.Code, s.Slug, s.Reason)
		}
	}
	return found, d
}

func podRef(t *testing.T, path, name string) snapshot.Ref {
	t.Helper()
	ns, pod, ok := strings.Cut(name, "/")
	if !ok {
		t.Fatalf("%s: %q should be namespace/pod", path, name)
	}
	return snapshot.Ref{Kind: snapshot.Pod, Namespace: ns, Name: pod}
}

func isStuck(found stuck.Result, ref snapshot.Ref) bool {
	return slices.ContainsFunc(found.Stuck, func(p stuck.Pod) bool { return p.Ref.Is(ref) })
}

// blames returns the finding of the cause that explains the pod.
func blames(d diagnose.Diagnosis, c diagnose.Cause, ref snapshot.Ref) *diagnose.Finding {
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Code == c.Code && slices.ContainsFunc(f.Explains, func(r snapshot.Ref) bool { return r.Is(ref) }) {
			return f
		}
	}
	return nil
}

func TestCausesBlameWhatTheyShouldAndSpareTheRest(t *testing.T) {
	all := discover(t)
	for _, c := range catalogue(t) {
		f := all[c.Slug]
		if f == nil {
			continue // TestEveryCauseHasOneFixtureAndOneTwin says so
		}
		t.Run(c.Slug, func(t *testing.T) {
			for _, path := range f.fixture {
				fx := snapshottest.Load(t, path)
				if len(wanted(fx)) == 0 {
					t.Errorf("%s: the header names no pod, node or other object that is wanted", path)
				}
				check(t, fx, c)
			}
			for _, path := range f.twin {
				fx := snapshottest.Load(t, path)
				if len(spared(fx)) == 0 {
					t.Errorf("%s: the header of a twin names the stuck pods, or other objects, that are to be spared", path)
				}
				if len(wanted(fx)) > 0 {
					t.Errorf("%s: a twin wants nothing to be blamed", path)
				}
				check(t, fx, c)
			}
		})
	}
}

func check(t *testing.T, fx snapshottest.Fixture, c diagnose.Cause) {
	t.Helper()
	found, d := run(t, fx, c)
	checkObjects(t, fx, c, found, d)
	for _, name := range fx.Header["want"] {
		ref := podRef(t, fx.Path, name)
		if !isStuck(found, ref) {
			t.Errorf("%s: pod %s is wanted, and is not even stuck", fx.Path, name)
		} else if f := blames(d, c, ref); f == nil {
			t.Errorf("%s: pod %s is not blamed on %s; findings: %s", fx.Path, name, c.Slug, list(d.Findings))
		} else {
			wellMade(t, fx.Path, *f)
		}
	}
	for _, name := range fx.Header["want-node"] {
		i := slices.IndexFunc(d.Findings, func(f diagnose.Finding) bool {
			return f.Code == c.Code && f.Subject.Kind == snapshot.Node && f.Subject.Name == name
		})
		if i < 0 {
			t.Errorf("%s: node %s is not blamed on %s; findings: %s", fx.Path, name, c.Slug, list(d.Findings))
		} else {
			wellMade(t, fx.Path, d.Findings[i])
		}
	}
	for _, name := range fx.Header["spare"] {
		ref := podRef(t, fx.Path, name)
		if !isStuck(found, ref) {
			t.Errorf("%s: pod %s is to be spared, and is not stuck: it proves nothing", fx.Path, name)
		}
		if f := blames(d, c, ref); f != nil {
			t.Errorf("%s: pod %s is blamed on %s: %s", fx.Path, name, c.Slug, f.Message)
		}
	}
}

// wellMade checks what every finding owes its reader.
func wellMade(t *testing.T, path string, f diagnose.Finding) {
	t.Helper()
	if f.Message == "" || f.Subject.IsZero() || f.Rank() == 0 {
		t.Errorf("%s: %s lacks a message, a subject or a confidence: %+v", path, f.Slug, f)
	}
	if len(f.Evidence) == 0 {
		t.Errorf("%s: %s shows no evidence", path, f.Slug)
	}
	for _, text := range []string{f.Message, f.Decide} {
		if first := []rune(text); len(first) > 0 && (!unicode.IsUpper(first[0]) && !unicode.IsDigit(first[0]) || !strings.HasSuffix(text, ".") || strings.HasSuffix(text, "..")) {
			t.Errorf("%s: %s: not a full sentence: %s", path, f.Slug, text)
		}
	}
	for _, e := range f.Evidence {
		if e.Object == "" || e.Field == "" {
			t.Errorf("%s: %s has evidence that does not say where it stands: %+v", path, f.Slug, e)
		}
	}
	if len(f.Alternatives) > 0 && f.Decide == "" {
		t.Errorf("%s: %s has alternatives and does not say what would decide", path, f.Slug)
	}
	for _, text := range append([]string{f.Message, f.Decide}, commands(f.Remedies)...) {
		if m := placeholder.FindString(text); m != "" {
			t.Errorf("%s: %s: %s was not filled in: %s", path, f.Slug, m, text)
		}
	}
}

func commands(remedies []diagnose.Remedy) []string {
	var out []string
	for _, r := range remedies {
		out = append(out, r.Command, r.Text)
	}
	return out
}

func list(findings []diagnose.Finding) string {
	var out []string
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s of %s", f.Slug, f.Subject))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func TestNoOtherCauseIsCertainOfAPod(t *testing.T) {
	found := discover(t)
	all := catalogue(t)
	for slug, f := range found {
		for _, path := range f.fixture {
			fx := snapshottest.Load(t, path)
			_, d := run(t, fx, all...)
			allowed := append([]string{slug}, fx.Header["also"]...)
			for _, also := range fx.Header["also"] {
				if !slices.ContainsFunc(all, func(c diagnose.Cause) bool { return c.Slug == also }) {
					t.Errorf("%s: also: %s is no cause", path, also)
				}
			}
			for _, g := range d.Findings {
				if g.Confidence != diagnose.Certain || slices.Contains(allowed, g.Slug) {
					continue
				}
				for _, name := range fx.Header["want"] {
					ref := podRef(t, path, name)
					if slices.ContainsFunc(g.Explains, func(r snapshot.Ref) bool { return r.Is(ref) }) {
						t.Errorf("%s: %s is certain of pod %s as well: %s", path, g.Slug, name, g.Message)
					}
				}
			}
		}
	}
}

// TestAlternativesExist keeps every alternative explainable, and every cause that recognises nothing by itself in use.
func TestAlternativesExist(t *testing.T) {
	all := catalogue(t)
	named := map[string]bool{}
	note := func(where string, alternatives []string) {
		for _, a := range alternatives {
			named[a] = true
			if !slices.ContainsFunc(all, func(c diagnose.Cause) bool { return c.Slug == a }) {
				t.Errorf("%s names the alternative %q, which is no cause of the catalogue", where, a)
			}
		}
	}
	for _, c := range all {
		if c.Signature != nil {
			note(c.Slug, c.Signature.Alternatives)
		}
	}
	for _, f := range discover(t) {
		for _, path := range slices.Concat(f.fixture, f.twin) {
			_, d := run(t, snapshottest.Load(t, path), all...)
			for _, g := range d.Findings {
				note(path+": "+g.Slug, g.Alternatives)
			}
		}
	}
	for _, c := range all {
		if !judges(c) && len(c.Log) == 0 && !named[c.Slug] {
			t.Errorf("%s %s recognises nothing, and no finding names it as an alternative", c.Code, c.Slug)
		}
	}
}

// TestNeedsAreWhatIsRead compares what a cause declares with what its rules look at, also where something optional could not be read. Pods may
// always be looked at, and a signature's own reads follow from what it matches.
func TestNeedsAreWhatIsRead(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil || !judges(c) {
			if len(c.Reads()) > 0 {
				t.Errorf("%s declares needs and has no rule that reads", c.Slug)
			}
			continue
		}
		for _, k := range c.Optional {
			if slices.Contains(c.Needs, k) {
				t.Errorf("%s declares %s both as needed and as optional", c.Slug, k)
			}
		}
		read := map[snapshot.Kind]bool{}
		if g := c.Signature; g != nil {
			read[snapshot.Event] = len(g.Events) > 0
			read[snapshot.Node] = len(g.NodeConditions) > 0
		}
		for _, path := range slices.Concat(f.fixture, f.twin) {
			src := takeApart(t, path)
			views := []snapshottest.Fixture{snapshottest.Load(t, path)}
			for _, k := range c.Optional {
				views = append(views, src.without(t, k))
			}
			for _, fx := range views {
				for _, k := range readBy(fx, c) {
					read[k] = true
				}
			}
		}
		for k, ok := range read {
			if ok && k != snapshot.Pod && !slices.Contains(c.Reads(), k) {
				t.Errorf("%s reads %s and does not declare it", c.Slug, k)
			}
		}
		for _, k := range c.Reads() {
			if !read[k] {
				t.Errorf("%s declares that it reads %s; no rule of it looked at one over its fixtures", c.Slug, k)
			}
		}
	}
}

// readBy calls the rules of the cause on a picture that records what is looked at.
func readBy(fx snapshottest.Fixture, c diagnose.Cause) []snapshot.Kind {
	found := stuck.Find(fx.Snapshot, stuck.Options{})
	d := diagnose.Run(fx.Snapshot, found, []diagnose.Cause{c}, fx.Header["want-node"]...)
	rec, reads := fx.Snapshot.Recorded()
	if c.Pod != nil {
		for _, p := range found.Stuck {
			c.Pod(rec, p)
		}
	}
	if c.Node != nil {
		groups := d.Scope.Groups
		for _, n := range fx.Header["want-node"] {
			groups = append(groups, scope.Group{Node: n, Facts: scope.Facts(fx.Snapshot, n)})
		}
		for _, g := range groups {
			if g.Node != "" {
				c.Node(rec, g)
			}
		}
	}
	if c.Cluster != nil {
		c.Cluster(rec, d.Scope)
	}
	readObjects(c, rec, found)
	return reads.Kinds()
}

func TestACauseWithoutItsNeedsIsSkipped(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil || len(f.fixture) != 1 {
			continue
		}
		src := takeApart(t, f.fixture[0])
		for _, k := range c.Needs {
			_, d := run(t, src.without(t, k), c)
			if !slices.ContainsFunc(d.Skips, func(s diagnose.Skip) bool { return s.Code == c.Code && strings.Contains(s.Reason, string(k)) }) {
				t.Errorf("%s: %s could not be read, and it was not skipped: skips %v", c.Slug, k, d.Skips)
			}
			if len(d.Findings) > 0 {
				t.Errorf("%s: %s could not be read, and yet: %s", c.Slug, k, d.Findings[0].Message)
			}
		}
	}
}

// TestACauseDoesWithoutWhatIsOptional takes each optional kind away, and all of them. What is said then may be less and less sure, but no
// surer, and a fixture's spared pods stay spared. A twin's may be suspected, where what spares them is what could not be read, and not convicted.
func TestACauseDoesWithoutWhatIsOptional(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil {
			continue
		}
		for _, path := range slices.Concat(f.fixture, f.twin) {
			src := takeApart(t, path)
			fx := snapshottest.Load(t, path)
			_, whole := run(t, fx, c)
			sets := [][]snapshot.Kind{c.Optional}
			for _, k := range c.Optional {
				sets = append(sets, []snapshot.Kind{k})
			}
			for _, kinds := range sets {
				less := src.without(t, kinds...)
				stuckThen, d := run(t, less, c)
				if i := slices.IndexFunc(d.Skips, func(s diagnose.Skip) bool { return !strings.HasSuffix(s.Reason, "it went by the pods alone") }); i >= 0 {
					t.Errorf("%s without %v, which are optional, was skipped: %v", path, kinds, d.Skips[i])
				}
				for _, p := range stuckThen.Stuck {
					before, after := blames(whole, c, p.Ref), blames(d, c, p.Ref)
					switch {
					case after == nil:
						continue
					case before != nil && after.Rank() > before.Rank():
						t.Errorf("%s without %v: pod %s is surer than with: %s, %s", path, kinds, p.Ref, after.Confidence, after.Message)
					case before == nil && after.Confidence == diagnose.Certain:
						t.Errorf("%s without %v: pod %s is blamed: %s, %s", path, kinds, p.Ref, after.Confidence, after.Message)
					}
					wellMade(t, path, *after)
				}
				for _, name := range fx.Header["spare"] {
					ref := podRef(t, path, name)
					if g := blames(d, c, ref); g != nil && len(fx.Header["want"]) > 0 {
						t.Errorf("%s without %v: pod %s is blamed on %s: %s", path, kinds, name, c.Slug, g.Message)
					}
				}
			}
		}
	}
}

// TestPodsAloneGiveNoNewCertainty takes every kind but pods away from every fixture, as in a dump of `kubectl get pods -o json`.
func TestPodsAloneGiveNoNewCertainty(t *testing.T) {
	all := catalogue(t)
	var others []snapshot.Kind
	for _, i := range snapshot.Kinds() {
		if i.Kind != snapshot.Pod {
			others = append(others, i.Kind)
		}
	}
	for _, f := range discover(t) {
		for _, path := range slices.Concat(f.fixture, f.twin) {
			_, whole := run(t, snapshottest.Load(t, path), all...)
			found, d := run(t, takeApart(t, path).without(t, others...), all...)
			for _, g := range d.Findings {
				if g.Confidence != diagnose.Certain {
					continue
				}
				for _, p := range found.Stuck {
					c := diagnose.Cause{Code: g.Code}
					if blames(d, c, p.Ref) != nil && blames(whole, c, p.Ref) == nil {
						t.Errorf("%s: by the pods alone %s is certain of %s, and with everything it says nothing: %s", path, g.Slug, p.Ref, g.Message)
					}
				}
			}
		}
	}
}

// source is a fixture taken apart: its header and its objects, as JSON.
type source struct {
	name, head string
	objects    [][]byte
}

func takeApart(t *testing.T, path string) source {
	t.Helper()
	raw, err := os.ReadFile(path) //nolint:gosec // found by discover
	if err != nil {
		t.Fatal(err)
	}
	s := source{name: filepath.Base(path)}
	for line := range strings.Lines(string(raw)) {
		if !strings.HasPrefix(line, "# ") {
			break
		}
		s.head += line
	}
	for _, doc := range strings.Split("\n"+string(raw), "\n---") {
		obj, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if string(obj) != "null" {
			s.objects = append(s.objects, obj)
		}
	}
	return s
}

// without is the fixture as it is for somebody who may not read the kinds.
func (s source) without(t *testing.T, kinds ...snapshot.Kind) snapshottest.Fixture {
	t.Helper()
	head := "# unread:"
	for _, k := range kinds {
		head += " " + string(k)
	}
	return s.rewrite(t, head+"\n", func(obj map[string]any) bool {
		return !slices.ContainsFunc(kinds, func(k snapshot.Kind) bool { return obj["kind"] == string(k) })
	})
}

// rewrite loads the fixture with one more header line, and with the objects that keep lets through, as it left them.
func (s source) rewrite(t *testing.T, head string, keep func(map[string]any) bool) snapshottest.Fixture {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(s.head + head)
	for _, raw := range s.objects {
		obj := map[string]any{}
		if err := json.Unmarshal(raw, &obj); err != nil {
			t.Fatal(err)
		}
		if !keep(obj) {
			continue
		}
		out, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "---\n%s\n", out)
	}
	to := filepath.Join(t.TempDir(), s.name)
	if err := os.WriteFile(to, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return snapshottest.Load(t, to)
}

// TestNoRuleFailsOnOddObjects takes parts away from the objects of every fixture. Dumps come from anywhere: whatever
// is missing in them, a rule may find nothing, and may not fail.
func TestNoRuleFailsOnOddObjects(t *testing.T) {
	all := catalogue(t)
	mutilations := map[string]func(map[string]any){
		"no spec":             func(o map[string]any) { delete(o, "spec") },
		"no status":           func(o map[string]any) { delete(o, "status") },
		"empty lists in spec": func(o map[string]any) { emptyLists(o["spec"]) },
		"holes in status":     func(o map[string]any) { blank(o["status"]) },
		"holes in spec":       func(o map[string]any) { keepNode(o, func() { blank(o["spec"]) }) },
	}
	for _, f := range discover(t) {
		for _, path := range f.fixture {
			src := takeApart(t, path)
			for name, hurt := range mutilations {
				t.Run(src.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					run(t, src.rewrite(t, "", func(o map[string]any) bool { hurt(o); return true }), all...)
				})
			}
		}
	}
}

// blank empties every map below v one level down: pointers stay set, and point to nothing of use.
func blank(v any) {
	switch x := v.(type) {
	case map[string]any:
		for k, w := range x {
			switch y := w.(type) {
			case map[string]any:
				x[k] = map[string]any{}
			case []any:
				for _, e := range y {
					blank(e)
				}
			}
		}
	case []any:
		for _, e := range x {
			blank(e)
		}
	}
}

// keepNode does something to a pod's spec and leaves it on its node.
func keepNode(o map[string]any, do func()) {
	spec, _ := o["spec"].(map[string]any)
	node := spec["nodeName"]
	do()
	if node != nil {
		spec["nodeName"] = node
	}
}

func emptyLists(v any) {
	x, _ := v.(map[string]any)
	for k, w := range x {
		if _, ok := w.([]any); ok {
			x[k] = []any{}
		}
	}
}

var (
	wellFormedCode = regexp.MustCompile(`^ST[1-9][0-9]{2}$`)
	kebab          = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	placeholder    = regexp.MustCompile(`\{(pod|node|namespace|subject)\}`)
	anyPlaceholder = regexp.MustCompile(`\{[a-z][a-zA-Z_-]*\}`)
	reference      = regexp.MustCompile(`^(https://\S+|[a-zA-Z0-9][\w./-]*: \S.*)$`)
)

func TestCodesAndSlugsAreUniqueAndWellFormed(t *testing.T) {
	codes, slugs := map[diagnose.Code]string{}, map[string]diagnose.Code{}
	for _, c := range catalogue(t) {
		if !wellFormedCode.MatchString(string(c.Code)) {
			t.Errorf("%s: code %q is not ST and three digits", c.Slug, c.Code)
		}
		if !kebab.MatchString(c.Slug) {
			t.Errorf("%s: slug %q is not lower-case words joined by hyphens", c.Code, c.Slug)
		}
		if other, ok := codes[c.Code]; ok {
			t.Errorf("%s and %s share code %s", other, c.Slug, c.Code)
		}
		if other, ok := slugs[c.Slug]; ok {
			t.Errorf("%s and %s share slug %s", other, c.Code, c.Slug)
		}
		codes[c.Code], slugs[c.Slug] = c.Slug, c.Code
		if c.Reach == "" {
			t.Errorf("%s %s says nothing of its reach", c.Code, c.Slug)
		}
		for _, k := range c.Reads() {
			if _, ok := snapshot.InfoOf(k); !ok || k == snapshot.Pod {
				t.Errorf("%s needs %s: pods are always there, and nothing but the kinds of a snapshot can be needed", c.Slug, k)
			}
		}
	}
}

func TestDocsAreComplete(t *testing.T) {
	risks := []diagnose.Risk{diagnose.RiskNone, diagnose.RiskLow, diagnose.RiskMedium, diagnose.RiskHigh, diagnose.RiskDataLoss}
	for _, c := range catalogue(t) {
		t.Run(c.Slug, func(t *testing.T) {
			d := c.Doc
			if d.Title == "" || d.Symptom == "" || d.Mechanism == "" || len(d.Confirm) == 0 || len(d.Remedies) == 0 || len(d.Refs) == 0 {
				t.Errorf("a field of the documentation is empty: %+v", d)
			}
			if strings.HasSuffix(d.Title, ".") || len(d.Title) > 90 {
				t.Errorf("title %q: a short statement without a full stop", d.Title)
			}
			for _, cmd := range d.Confirm {
				command(t, cmd)
			}
			ids := map[string]bool{}
			last := 0
			for _, r := range d.Remedies {
				if !kebab.MatchString(r.ID) || ids[r.ID] {
					t.Errorf("remedy %q: a short name in kebab case, once", r.ID)
				}
				ids[r.ID] = true
				rank := slices.Index(risks, r.Risk)
				switch {
				case rank < 0:
					t.Errorf("remedy %s: %q is no risk", r.ID, r.Risk)
				case rank < last:
					t.Errorf("remedy %s: risk %s comes after a greater one", r.ID, r.Risk)
				}
				last = max(last, rank)
				if r.Text == "" {
					t.Errorf("remedy %s says nothing", r.ID)
				}
				if m := unknownPlaceholder(r.Text); m != "" {
					t.Errorf("remedy %s: %s is no placeholder", r.ID, m)
				}
				if r.Command != "" {
					command(t, r.Command)
				}
			}
			for _, r := range d.Refs {
				if !reference.MatchString(r) {
					t.Errorf("reference %q: a URL, or `project: path`", r)
				}
			}
			if c.Signature != nil && (c.Signature.Say == "" || c.Signature.Confidence == "") {
				t.Errorf("the signature lacks what it says, or how sure it is")
			}
		})
	}
}

// command checks that a documented command is one that kubectl, or this plugin, has.
func command(t *testing.T, cmd string) {
	t.Helper()
	words := strings.Fields(cmd)
	if len(words) < 2 || words[0] != "kubectl" {
		t.Errorf("command %q does not begin with kubectl and a verb", cmd)
		return
	}
	verbs := strings.Fields("annotate api-resources auth certificate config cordon debug delete describe drain edit events exec explain get label logs patch rollout run scale set taint top uncordon version wait")
	switch {
	case words[1] == "stuck":
		if len(words) < 3 || !slices.Contains([]string{"pods", "node", "explain", "dump"}, words[2]) {
			t.Errorf("command %q: kubectl stuck has pods, node, explain and dump", cmd)
		}
	case !slices.Contains(verbs, words[1]):
		t.Errorf("command %q: kubectl has no verb %s", cmd, words[1])
	}
	if strings.Count(cmd, "'")%2+strings.Count(cmd, `"`)%2 > 0 {
		t.Errorf("command %q has a quotation mark that is not closed", cmd)
	}
	if m := unknownPlaceholder(cmd); m != "" {
		t.Errorf("command %q: %s is no placeholder", cmd, m)
	}
}

func unknownPlaceholder(text string) string {
	for _, m := range anyPlaceholder.FindAllString(text, -1) {
		if !placeholder.MatchString(m) {
			return m
		}
	}
	return ""
}

// TestLogLines holds every line of a cause's log fixture against its patterns, and every line of the twin.
func TestLogLines(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil {
			continue
		}
		for _, path := range f.log {
			for _, line := range lines(t, path) {
				if !betrays(c, line) {
					t.Errorf("%s: no pattern of %s matches: %s", path, c.Slug, line)
				}
			}
		}
		for _, path := range f.logTwin {
			for _, line := range lines(t, path) {
				if betrays(c, line) {
					t.Errorf("%s: a pattern of %s matches: %s", path, c.Slug, line)
				}
			}
		}
	}
}

func betrays(c diagnose.Cause, line string) bool {
	return slices.ContainsFunc(c.Log, func(m diagnose.LogMatch) bool {
		return m.Match(line) && (m.Pattern == "" || regexp.MustCompile("(?i)"+m.Pattern).MatchString(line))
	})
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path) //nolint:gosec // found by discover
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		t.Errorf("%s is empty", path)
	}
	return out
}
