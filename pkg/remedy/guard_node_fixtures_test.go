package remedy

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
)

// nodeGuardCase is one line of a fixture's header:
//
//	# case: node | rung | options | block, warn, lifted or none | what a reason says
//
// Options are separated by semicolons: attest=WORDS, lift=FLAG, planned=UID, reach=REACH, drain=WORDS (what kubectl drain refuses), again (the deletion is judged
// after the evictions), no-room (where pods would go was not looked at).
type nodeGuardCase struct {
	line, node string
	id         ID
	asked      Asked
	planned    string
	reach      string
	drain      string
	noRoom     bool
	want, says string
}

func nodeRungs() []ID {
	return []ID{Cordon, DeleteNode, OutOfService, InService, RestoreNode, ProveNode, ProbeNode}
}

func nodeGuards() []Guard {
	return slices.DeleteFunc(Guards(), func(g Guard) bool { return g.Node == nil })
}

func nodeGuardFixtures(t *testing.T) map[string][]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/guards/node-*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures of guards of nodes: %v", err)
	}
	out := map[string][]string{}
	for _, p := range paths {
		name, _, _ := strings.Cut(filepath.Base(p), ".")
		out[name] = append(out[name], p)
	}
	return out
}

func nodeGuardCases(t *testing.T, path string) []nodeGuardCase {
	t.Helper()
	f, err := os.Open(path) //nolint:gosec // a test names its own fixture
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []nodeGuardCase
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
		g := nodeGuardCase{line: line, node: parts[0], id: ID(parts[1]), want: parts[3], says: parts[4]}
		if !slices.Contains(nodeRungs(), g.id) {
			t.Fatalf("%s: no rung %q", path, g.id)
		}
		for _, o := range strings.Split(parts[2], ";") {
			switch k, v, _ := strings.Cut(strings.TrimSpace(o), "="); k {
			case "":
			case "attest":
				g.asked.Attest = v
			case "lift":
				g.asked.Lifted = append(g.asked.Lifted, v)
			case "planned":
				g.planned = v
			case "reach":
				g.reach = v
			case "drain":
				g.drain = v
			case "again":
				g.asked.Again = true
			case "no-room":
				g.noRoom = true
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

// askNode asks one guard about the node of the case, with s in the place of the snapshot that the case was made from.
func askNode(p *Picture, s *snapshot.Snapshot, g Guard, gc nodeGuardCase) []Verdict {
	if len(g.For) > 0 && !slices.Contains(g.For, gc.id) {
		return nil
	}
	c := p.NodeCase(snapshot.Ref{Kind: snapshot.Node, Name: gc.node}, gc.asked, func(*corev1.Pod) DrainWord { return DrainWord{Deletes: true, Refuses: gc.drain} })
	c.Planned = types.UID(gc.planned)
	if gc.reach != "" {
		c.Reach, c.Group = scope.Reach(gc.reach), &scope.Group{Node: gc.node}
	}
	if !gc.noRoom {
		r := room.Fit(p.S, gc.node, c.Movers())
		c.Room = &r
	}
	c.S = s
	c.Picture = &Picture{S: s, Found: p.Found, D: p.D, chain: p.chain, follower: p.follower}
	for i := range c.Pods {
		c.Pods[i].Case.S = s
	}
	var out []Verdict
	for _, v := range g.Node(c, gc.id) {
		out = append(out, complete(v, g))
	}
	return out
}

func TestGuardsOfNodesSayWhatTheirFixturesExpect(t *testing.T) {
	fixtures := nodeGuardFixtures(t)
	for _, g := range nodeGuards() {
		for _, path := range fixtures[g.Name] {
			fx := snapshottest.Load(t, path)
			p := guardPicture(fx.Snapshot)
			for _, gc := range nodeGuardCases(t, path) {
				vs := askNode(p, fx.Snapshot, g, gc)
				if got := outcome(vs); got != gc.want {
					t.Errorf("%s: %s\n\tit said %s: %+v", path, gc.line, got, vs)
					continue
				}
				if gc.says != "" && !slices.ContainsFunc(vs, func(v Verdict) bool { return strings.Contains(v.Reason, gc.says) }) {
					t.Errorf("%s: %s\n\tno reason says so: %+v", path, gc.line, vs)
				}
				for _, v := range vs {
					guardSpeaksWell(t, path, g, v)
				}
			}
		}
	}
}

func TestEveryGuardOfNodesHasItsFixtures(t *testing.T) {
	fixtures := nodeGuardFixtures(t)
	for _, g := range nodeGuards() {
		var speaks, silent, blocks, lifted, unread bool
		ids := map[ID]bool{}
		for _, path := range fixtures[g.Name] {
			twin := strings.HasSuffix(path, ".twin.yaml")
			fx := snapshottest.Load(t, path)
			for _, gc := range nodeGuardCases(t, path) {
				ids[gc.id] = ids[gc.id] || gc.want != "none"
				speaks = speaks || !twin && gc.want != "none"
				silent = silent || twin && gc.want == "none"
				blocks, lifted = blocks || gc.want == "block", lifted || gc.want == "lifted"
				unread = unread || slices.ContainsFunc(g.Needs, func(k snapshot.Kind) bool { return slices.Contains(fx.Header["unread"], string(k)) })
				if twin && gc.want != "none" {
					t.Errorf("%s: in a twin the guard has nothing to say: %s", path, gc.line)
				}
			}
		}
		// Whether a node registers again is told always, and that a person has to vouch for a node that is off is asked always: they are silent for other rungs.
		if !speaks || !silent {
			t.Errorf("%s: want a case in %s.yaml in which it speaks (%t), and one in a twin in which it does not (%t)", g.Name, g.Name, speaks, silent)
		}
		if g.Flag != "" && !(blocks && lifted) {
			t.Errorf("%s can be lifted by --%s: want a case that blocks (%t) and one that is lifted (%t)", g.Name, g.Flag, blocks, lifted)
		}
		if g.Flag == "" && lifted {
			t.Errorf("%s is lifted in a fixture, and names no flag that does", g.Name)
		}
		if len(g.Needs) > 0 && !unread {
			t.Errorf("%s needs %v: want a case in which one of them could not be read", g.Name, g.Needs)
		}
		for _, id := range g.For {
			if !ids[id] {
				t.Errorf("%s guards %s: want a case in which it speaks of that", g.Name, id)
			}
		}
		delete(fixtures, g.Name)
	}
	for name, paths := range fixtures {
		t.Errorf("fixtures without a guard %s: %v", name, paths)
	}
}

func TestGuardsOfNodesReadWhatTheyDeclare(t *testing.T) {
	fixtures := nodeGuardFixtures(t)
	// What every case about a node is made of.
	always := []snapshot.Kind{snapshot.Pod, snapshot.Node, snapshot.Lease}
	for _, g := range nodeGuards() {
		read := map[snapshot.Kind]bool{}
		for _, path := range fixtures[g.Name] {
			fx := snapshottest.Load(t, path)
			p := guardPicture(fx.Snapshot)
			rec, reads := fx.Snapshot.Recorded()
			for _, gc := range nodeGuardCases(t, path) {
				askNode(p, rec, g, gc)
			}
			for _, k := range reads.Kinds() {
				read[k] = true
			}
		}
		for k := range read {
			if !slices.Contains(always, k) && !slices.Contains(g.Needs, k) {
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

func TestNothingButReplacementAndStormIsSaidOfACordon(t *testing.T) {
	for _, g := range nodeGuards() {
		if slices.Contains(g.For, Cordon) && g.Name != "node-replaced" && g.Name != "node-storm" {
			t.Errorf("%s speaks of a cordon", g.Name)
		}
		if slices.Contains(g.For, ProveNode) || len(g.For) == 0 {
			t.Errorf("%s speaks of what nothing is to be said of: %v", g.Name, g.For)
		}
	}
}
