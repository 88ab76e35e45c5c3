package render_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/clipperhouse/displaywidth"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

const goldens = "testdata/golden"

// golden is one picture: NAME is case, view, format and width, joined by dots.
type golden struct {
	name string
	draw func(io.Writer) error
}

func (g golden) file() string { return filepath.Join(goldens, g.name+".txt") }

// pictures are what the golden files show.
func pictures() []golden {
	var out []golden
	add := func(name string, r *report.Report, o render.Options) {
		view, format := string(o.View), string(o.Format)
		if format == "" {
			format = "table"
		}
		if o.Color {
			format += "-color"
		}
		out = append(out, golden{
			name: strings.Join([]string{name, view, format, strconv.Itoa(o.Width)}, "."),
			draw: func(w io.Writer) error { return render.Report(w, r, o) },
		})
	}
	for name, r := range cases() {
		for _, w := range []int{60, 80, 120, 200} {
			add(name, r, render.Options{View: render.Pods, Width: w})
		}
		add(name, r, render.Options{View: render.NodeOverview, Width: 80})
		if name == "storm" {
			continue // what follows is long, and tells nothing new of it
		}
		add(name, r, render.Options{View: render.Pods, Format: render.Wide, Width: 120})
		if len(r.Nodes) > 0 {
			add(name, r, render.Options{View: render.NodeDetail, Width: 80})
			add(name, r, render.Options{View: render.NodeDetail, Format: render.Wide, Width: 120})
		}
		add(name, withoutNodes(r), render.Options{View: render.Explain, Width: 80})
		add(name, r, render.Options{View: render.Pods, Format: render.Name, Width: 80})
		add(name, r, render.Options{View: render.NodeOverview, Format: render.Name, Width: 80})
	}
	for _, name := range []string{"processes", "namespace"} {
		r := cases()[name]
		add(name, r, render.Options{View: render.Pods, Width: 80, Color: true})
		add(name, r, render.Options{View: render.Pods, Format: render.HTML, Width: 80})
		add(name, r, render.Options{View: render.Pods, Format: render.JSON, Width: 80})
		add(name, r, render.Options{View: render.Pods, Format: render.YAML, Width: 80})
	}
	for _, w := range []int{60, 120} {
		out = append(out,
			golden{fmt.Sprintf("catalogue.list.table.%d", w), func(b io.Writer) error { return render.Causes(b, catalogue(), render.Options{Width: w}, false) }},
			golden{fmt.Sprintf("catalogue.whole.table.%d", w), func(b io.Writer) error { return render.ExplainCause(b, catalogue()[0], render.Options{Width: w}) }})
	}
	out = append(out,
		golden{"catalogue.list.json.80", func(b io.Writer) error {
			return render.Causes(b, catalogue(), render.Options{Format: render.JSON}, false)
		}},
		golden{"catalogue.list.markdown.80", func(b io.Writer) error { return render.CausesMarkdown(b, catalogue()) }})
	out = append(out, logPictures()...)
	out = append(out, historyPictures()...)
	out = append(out, fixPictures()...)
	slices.SortFunc(out, func(a, b golden) int { return strings.Compare(a.name, b.name) })
	return out
}

// withoutNodes is a report about pods only, as explain pod/NAME gets it.
func withoutNodes(r *report.Report) *report.Report {
	c := *r
	c.Nodes = nil
	return &c
}

func draw(t *testing.T, r *report.Report, o render.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.Report(&b, r, o); err != nil {
		t.Fatalf("render: %v", err)
	}
	return b.String()
}

// TestGoldens compares every picture with its file, and every file with a picture: a file that nothing draws any more
// is an error, and so is finding none.
func TestGoldens(t *testing.T) {
	want := map[string]bool{}
	for _, g := range pictures() {
		want[g.file()] = true
		t.Run(g.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := g.draw(&b); err != nil {
				t.Fatal(err)
			}
			got := b.String()
			if *update {
				if err := os.MkdirAll(goldens, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(g.file(), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			file, err := os.ReadFile(g.file())
			if err != nil {
				t.Fatalf("%v (run go test ./pkg/render -update)", err)
			}
			if got != string(file) {
				t.Errorf("%s differs from what is drawn now (go test ./pkg/render -update, then look at the difference):\n%s", g.file(), firstDifference(string(file), got))
			}
		})
	}
	found, err := filepath.Glob(filepath.Join(goldens, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no golden files found")
	}
	for _, f := range found {
		switch {
		case want[f]:
		case *update:
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s: nothing draws this any more", f)
		}
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\nfile %q\n now %q", i+1, a, b)
		}
	}
	return ""
}

// views are all that people can look at.
func views() []render.View {
	return []render.View{render.Pods, render.NodeOverview, render.NodeDetail, render.Explain}
}

func cells(s string) int {
	n := 0
	for _, r := range s {
		n += displaywidth.Rune(r)
	}
	return n
}

// TestNoLineIsWiderThanThePage allows two exceptions, which must stay whole to be copied: a single word, and a
// command.
func TestNoLineIsWiderThanThePage(t *testing.T) {
	for name, r := range cases() {
		widths := []int{60, 72, 80, 100, 120, 200}
		if name == "storm" {
			widths = []int{80} // it is long, and its lines are all alike
		}
		for _, w := range widths {
			for _, v := range views() {
				for _, l := range strings.Split(draw(t, r, render.Options{View: v, Width: w}), "\n") {
					if cells(l) <= w {
						continue
					}
					word := strings.TrimPrefix(strings.TrimSpace(l), "> ")
					if !strings.ContainsRune(word, ' ') || strings.HasPrefix(strings.TrimPrefix(word, "next: "), "kubectl ") {
						continue
					}
					t.Errorf("%s, %s at %d: %d cells: %q", name, v, w, cells(l), l)
				}
			}
		}
	}
}

func TestTextIsTheSameEachTimeAndColourChangesNoWord(t *testing.T) {
	one, other := cases(), cases() // built twice, so that an order that hangs on a map shows
	for name := range one {
		for _, v := range views() {
			for _, f := range []render.Format{render.Table, render.Wide} {
				if name == "storm" && (f == render.Wide || v != render.Pods) {
					continue // long
				}
				plain := draw(t, one[name], render.Options{View: v, Format: f, Width: 100})
				if again := draw(t, other[name], render.Options{View: v, Format: f, Width: 100}); again != plain {
					t.Errorf("%s, %s, %q: two drawings differ", name, v, f)
				}
				color := draw(t, one[name], render.Options{View: v, Format: f, Width: 100, Color: true})
				if got := withoutColour(color); got != plain {
					t.Errorf("%s, %s, %q: colour changes the words: %s", name, v, f, firstDifference(plain, got))
				}
				if color == plain {
					t.Errorf("%s, %s, %q: Color changes nothing", name, v, f)
				}
			}
		}
	}
}

func withoutColour(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

func TestNamesAreNeverCut(t *testing.T) {
	for name, r := range cases() {
		if name == "storm" {
			continue // long, and its names are all alike
		}
		for _, w := range []int{60, 80, 200} {
			got := draw(t, r, render.Options{View: render.Pods, Width: w, MaxPods: -1, MaxGroups: -1})
			for _, g := range r.Groups {
				for _, p := range g.Pods {
					if !strings.Contains(got, render.Clean(p.Name)) {
						t.Errorf("%s at %d: pod %s is not there in full", name, w, p.Name)
					}
				}
			}
		}
	}
}

func TestAStormFitsOnAFewPages(t *testing.T) {
	got := draw(t, storm(), render.Options{View: render.Pods, Width: 80})
	if n := strings.Count(got, "\n"); n > 250 {
		t.Errorf("5,000 pods on 300 nodes take %d lines", n)
	}
	for _, want := range []string{"5000 pods stuck on 300 of 1500 nodes", "the same on 265 more nodes (", "more nodes with "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

func TestLimitsAreObeyed(t *testing.T) {
	count := func(o render.Options) int {
		o.View, o.Width = render.Pods, 80
		return strings.Count(draw(t, outOfProcesses(), o), "shop/web-")
	}
	if n := count(render.Options{MaxPods: 2}); n != 0 {
		t.Errorf("with 2 pods of a group shown, the last ones are shown %d times", n)
	}
	if n := count(render.Options{MaxPods: -1}); n != 2 {
		t.Errorf("with all pods shown, the last two are shown %d times", n)
	}
	if got := draw(t, storm(), render.Options{View: render.Pods, Width: 80, MaxGroups: 1}); strings.Count(got, "next: ") != 1 {
		t.Error("MaxGroups does not limit the groups")
	}
	if got := draw(t, storm(), render.Options{View: render.NodeOverview, Width: 80, MaxGroups: 3}); !strings.Contains(got, "and 297 more nodes") {
		t.Error("MaxGroups does not limit the overview")
	}
}

func TestEveryFormatIsDocumented(t *testing.T) {
	docs, err := os.ReadFile("../../docs/OUTPUT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range render.Formats() {
		if s := string(docs); !strings.Contains(s, "`"+string(f)+"`") && !strings.Contains(s, "`"+string(f)+"=") {
			t.Errorf("docs/OUTPUT.md does not mention -o %s", f)
		}
	}
}

// BenchmarkStorm draws 5,000 stuck pods on 300 nodes.
func BenchmarkStorm(b *testing.B) {
	r := storm()
	for _, f := range []render.Format{render.Table, render.Wide, render.JSON, render.YAML, render.HTML} {
		name := string(f)
		if f == render.Table {
			name = "table"
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := render.Report(io.Discard, r, render.Options{Format: f, Width: 80}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hidden are the characters that must not reach a terminal, by another rule than the one that Clean goes by.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Variation_Selector, unicode.Co, unicode.Cs)
}
