package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/test/scenario"
)

// document is the part of the report that the tests look at. It is spelled out here, rather than imported, because
// it is a contract with other programs.
type document struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	TakenAt    string `json:"takenAt"`
	Summary    struct {
		StuckPods int  `json:"stuckPods"`
		Pods      int  `json:"pods"`
		Nodes     int  `json:"nodes"`
		Complete  bool `json:"complete"`
	} `json:"summary"`
	Groups  []group  `json:"groups"`
	Objects []object `json:"objects"`
	Waiting []pod    `json:"waiting"`
	Shared  []struct {
		Kind  string   `json:"kind"`
		Name  string   `json:"name"`
		Nodes []string `json:"nodes"`
	} `json:"shared"`
	Gaps []struct {
		Kind   string `json:"kind"`
		Reason string `json:"reason"`
	} `json:"gaps"`
	Skipped []struct {
		Code   string `json:"code"`
		Reason string `json:"reason"`
	} `json:"skipped"`
}

type group struct {
	Node  string   `json:"node"`
	Reach string   `json:"reach"`
	Why   []string `json:"why"`
	Pods  []pod    `json:"pods"`
}

type pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Node      string `json:"node"`
	State     string `json:"state"`
	Stage     string `json:"stage"`
	Reach     string `json:"reach"`
	Findings  []struct {
		Slug       string `json:"slug"`
		Confidence string `json:"confidence"`
	} `json:"findings"`
	ClearsBy string `json:"clearsBy"`
}

// everything counts pods as stuck after a short time, so that the test need not wait until they are by the thresholds of
// their states. Pods in their grace period are not stuck all the same.
var everything = []string{"pods", "-A", "--older-than", "5s"}

func (w *world) report(t *testing.T, args ...string) document {
	t.Helper()
	a := w.stuck(t, append(args, "-o", "json")...)
	if a.code != 0 {
		t.Fatalf("kubectl stuck %q: exit code %d\n%s", args, a.code, a.errOut)
	}
	return parse(t, a.out)
}

func parse(t *testing.T, out string) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("the report is no JSON: %v\n%.500s", err, out)
	}
	if d.APIVersion != "kubectl-stuck.dev/v1alpha1" || d.Kind != "StuckReport" {
		t.Fatalf("the report is a %s %s", d.APIVersion, d.Kind)
	}
	return d
}

// is tells whether a pod of the report is one that the Want speaks of.
func is(want scenario.Want, p pod) bool {
	if p.Namespace != want.Namespace || !strings.HasPrefix(p.Name, want.Prefix) || want.Node != "" && p.Node != want.Node {
		return false
	}
	switch want.State {
	case scenario.Terminating:
		return p.State == "Terminating"
	case scenario.Starting:
		return p.State != "Terminating" && p.Node != ""
	case scenario.Pending:
		return p.Node == ""
	case scenario.Running:
		return p.State != "Terminating"
	default:
		return true
	}
}

func TestEveryScenarioIsNamed(t *testing.T) {
	d := shared.report(t, everything...)
	checked := 0
	for _, s := range shared.fleet.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			for _, want := range s.Want {
				checked++
				check(t, d, want)
			}
			for _, want := range s.Objects {
				checkObject(t, d, want)
			}
		})
	}
	if checked == 0 {
		t.Error("no scenario wants anything")
	}
}

func check(t *testing.T, d document, want scenario.Want) {
	t.Helper()
	about := fmt.Sprintf("%s %s/%s*", want.State, want.Namespace, want.Prefix)
	n := 0
	for _, g := range d.Groups {
		for _, p := range g.Pods {
			if !is(want, p) {
				continue
			}
			n++
			if want.NotStuck {
				t.Errorf("%s: %s is called stuck", about, p.Name)
				continue
			}
			var reaches []string
			for _, r := range want.Reach {
				reaches = append(reaches, string(r))
			}
			if !slices.Contains(reaches, p.Reach) {
				t.Errorf("%s: %s on %s has reach %q, want one of %q; the group's is %s: %q", about, p.Name, p.Node, p.Reach, reaches, g.Reach, g.Why)
			}
			if len(p.Findings) == 0 {
				t.Errorf("%s: %s is unexplained, want %q", about, p.Name, want.Causes)
			} else if best := p.Findings[0]; !slices.Contains(want.Causes, best.Slug) {
				t.Errorf("%s: %s is explained by %v, want %q", about, p.Name, p.Findings, want.Causes)
			}
		}
	}
	if !want.NotStuck && n < want.AtLeast {
		t.Errorf("%s: %d such pods are reported, want %d or more", about, n, want.AtLeast)
	}
}

// verdicts is what a report says, without the times.
func verdicts(d document) []string {
	var out []string
	for _, g := range d.Groups {
		for _, p := range g.Pods {
			line := fmt.Sprintf("%s %s/%s %s %s %s", g.Node, p.Namespace, p.Name, p.State, p.Stage, p.Reach)
			for _, f := range p.Findings {
				line += " " + f.Slug + ":" + f.Confidence
			}
			out = append(out, line)
		}
	}
	for _, o := range d.Objects {
		line := fmt.Sprintf("%s %s/%s %s", o.Kind, o.Namespace, o.Name, o.State)
		for _, f := range o.Findings {
			line += " " + f.Slug + ":" + f.Confidence
		}
		out = append(out, line)
	}
	for _, s := range d.Shared {
		out = append(out, fmt.Sprintf("shared %s %s %v", s.Kind, s.Name, s.Nodes))
	}
	sort.Strings(out)
	return out
}

func TestTheDumpGivesTheSameReport(t *testing.T) {
	for _, name := range []string{"dump", "dump.tar.gz"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			// The cluster lives on between two looks, so a difference has to show twice to be one.
			var diff string
			for range 3 {
				before := verdicts(shared.report(t, everything...))
				if a := shared.stuck(t, "dump", path, "--force"); a.code != 0 {
					t.Fatalf("dump: exit code %d\n%s", a.code, a.errOut)
				}
				dumped := verdicts(shared.report(t, append(everything, "--from", path)...))
				if slices.Equal(before, dumped) {
					return
				}
				diff = difference(before, dumped)
			}
			t.Errorf("live and dumped differ:\n%s", diff)
		})
	}
}

func difference(a, b []string) string {
	var out []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, "live:   "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			out = append(out, "dumped: "+l)
		}
	}
	return strings.Join(out, "\n")
}

func TestARedactedDumpGivesTheSameVerdicts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dump")
	count := func(d document) map[string]int {
		n := map[string]int{}
		for _, g := range d.Groups {
			for _, p := range g.Pods {
				slug := "unexplained"
				if len(p.Findings) > 0 {
					slug = p.Findings[0].Slug
				}
				n[p.State+" "+p.Stage+" "+p.Reach+" "+slug]++
			}
		}
		return n
	}
	var plain, redacted map[string]int
	for range 3 {
		names := map[string]bool{}
		d := shared.report(t, everything...)
		for _, g := range d.Groups {
			for _, p := range g.Pods {
				names[p.Namespace], names[p.Namespace+"/"+p.Name], names[p.Node] = true, true, true
			}
		}
		plain = count(d)
		if a := shared.stuck(t, "dump", path, "--redact", "--force"); a.code != 0 {
			t.Fatalf("dump: exit code %d\n%s", a.code, a.errOut)
		}
		r := shared.report(t, append(everything, "--from", path)...)
		for _, g := range r.Groups {
			for _, p := range g.Pods {
				// A name that is a common word of Kubernetes by itself may stay; where it was must not be told.
				if names[p.Namespace] || names[p.Namespace+"/"+p.Name] || p.Node != "" && names[p.Node] {
					t.Fatalf("a name was not redacted: %+v", p)
				}
			}
		}
		redacted = count(r)
		if fmt.Sprint(plain) == fmt.Sprint(redacted) {
			return
		}
	}
	t.Errorf("plain %v\nredacted %v", plain, redacted)
}
