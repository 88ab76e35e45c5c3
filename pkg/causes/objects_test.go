package causes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot/snapshottest"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// Fixtures of causes that explain something other than a pod name it in lines of their own:
//
//	# want-object: Deployment/shop/cart Namespace/preview   what must be stuck, and blamed on the cause under test
//	# spare-object: Deployment/shop/quotes                  what is stuck, and must not be
//	# well-object: Deployment/shop/rolling                  what must not even be stuck

// objectRef reads "Kind/namespace/name", or "Kind/name".
func objectRef(t *testing.T, path, s string) snapshot.Ref {
	t.Helper()
	parts := strings.Split(s, "/")
	switch len(parts) {
	case 2:
		return snapshot.Ref{Kind: snapshot.Kind(parts[0]), Name: parts[1]}
	case 3:
		return snapshot.Ref{Kind: snapshot.Kind(parts[0]), Namespace: parts[1], Name: parts[2]}
	default:
		t.Fatalf("%s: %q should be Kind/namespace/name or Kind/name", path, s)
		return snapshot.Ref{}
	}
}

func objectIsStuck(found stuck.Result, ref snapshot.Ref) bool {
	return slices.ContainsFunc(found.Objects, func(o stuck.Object) bool { return o.Ref.Is(ref) })
}

// wanted and spared are what the header says of pods, nodes and other objects.
func wanted(fx snapshottest.Fixture) []string {
	return slices.Concat(fx.Header["want"], fx.Header["want-node"], fx.Header["want-object"])
}

func spared(fx snapshottest.Fixture) []string {
	return slices.Concat(fx.Header["spare"], fx.Header["spare-object"])
}

// checkObjects is check for what is no pod.
func checkObjects(t *testing.T, fx snapshottest.Fixture, c diagnose.Cause, found stuck.Result, d diagnose.Diagnosis) {
	t.Helper()
	for _, name := range fx.Header["want-object"] {
		ref := objectRef(t, fx.Path, name)
		if !objectIsStuck(found, ref) {
			t.Errorf("%s: %s is wanted, and is not even stuck", fx.Path, ref)
		} else if f := blames(d, c, ref); f == nil {
			t.Errorf("%s: %s is not blamed on %s; findings: %s", fx.Path, ref, c.Slug, list(d.Findings))
		} else {
			wellMade(t, fx.Path, *f)
		}
	}
	for _, name := range fx.Header["spare-object"] {
		ref := objectRef(t, fx.Path, name)
		if !objectIsStuck(found, ref) {
			t.Errorf("%s: %s is to be spared, and is not stuck: it proves nothing", fx.Path, ref)
		}
		if f := blames(d, c, ref); f != nil {
			t.Errorf("%s: %s is blamed on %s: %s", fx.Path, ref, c.Slug, f.Message)
		}
	}
	for _, name := range fx.Header["well-object"] {
		ref := objectRef(t, fx.Path, name)
		if fx.Snapshot.Has(ref.Kind, ref.Namespace, ref.Name) != snapshot.Present {
			t.Errorf("%s: %s is not in it: it proves nothing", fx.Path, ref)
		}
		if objectIsStuck(found, ref) {
			t.Errorf("%s: %s is called stuck", fx.Path, ref)
		}
	}
}

// readObjects calls the rule about objects on a picture that records what is looked at.
func readObjects(c diagnose.Cause, rec *snapshot.Snapshot, found stuck.Result) {
	if c.Object == nil {
		return
	}
	for _, o := range found.Objects {
		c.Object(rec, o)
	}
}

// TestEveryStuckObjectIsExplainedOrSaidNotToBe holds every fixture with such objects against the whole catalogue.
func TestEveryStuckObjectIsExplainedOrSaidNotToBe(t *testing.T) {
	all := catalogue(t)
	checked := 0
	for slug, f := range discover(t) {
		for _, path := range slices.Concat(f.fixture, f.twin) {
			fx := snapshottest.Load(t, path)
			found, d := run(t, fx, all...)
			for _, o := range found.Objects {
				checked++
				u, unexplained := d.Unexplained[o.Ref]
				if findings := d.Of(o.Ref); unexplained != (len(findings) == 0) {
					t.Errorf("%s: %s: %d findings, and unexplained: %v", path, o.Ref, len(findings), unexplained)
				}
				if unexplained && len(u.LookedAt) == 0 {
					t.Errorf("%s: %s is unexplained, and nothing was looked at", path, o.Ref)
				}
			}
			// Nobody else may be certain of what the fixture is for.
			for _, name := range fx.Header["want-object"] {
				for _, g := range d.Of(objectRef(t, path, name)) {
					if g.Confidence == diagnose.Certain && g.Slug != slug && !slices.Contains(fx.Header["also"], g.Slug) {
						t.Errorf("%s: %s is certain of %s as well: %s", path, g.Slug, name, g.Message)
					}
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no fixture holds a stuck object")
	}
}

// TestAnObjectsCauseIsNoSurerWithLess takes each optional kind away.
func TestAnObjectsCauseIsNoSurerWithLess(t *testing.T) {
	found := discover(t)
	for _, c := range catalogue(t) {
		f := found[c.Slug]
		if f == nil || c.Object == nil {
			continue
		}
		for _, path := range slices.Concat(f.fixture, f.twin) {
			src := takeApart(t, path)
			_, whole := run(t, snapshottest.Load(t, path), c)
			for _, k := range c.Optional {
				then, d := run(t, src.without(t, k), c)
				for _, o := range then.Objects {
					before, after := blames(whole, c, o.Ref), blames(d, c, o.Ref)
					if after == nil {
						continue
					}
					wellMade(t, path, *after)
					if before != nil && after.Rank() > before.Rank() {
						t.Errorf("%s without %s: %s is surer than with: %s", path, k, o.Ref, after.Message)
					}
					if before == nil && after.Confidence == diagnose.Certain {
						t.Errorf("%s without %s: %s is blamed: %s", path, k, o.Ref, after.Message)
					}
				}
			}
		}
	}
}
