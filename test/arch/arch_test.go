package arch

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheHouseKeepsItsRules(t *testing.T) {
	house, err := Load(t.Context(), filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(house.Packages, func(p *Package) bool { return p.Rel == "pkg/snapshot" }) {
		t.Fatalf("pkg/snapshot is not among the %d packages found", len(house.Packages))
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			violations, looked := house.Check(rule)
			if looked == 0 {
				t.Error("the rule found nothing to look at")
			}
			for _, v := range violations {
				t.Error(v)
			}
			if len(violations) > 0 {
				t.Logf("the rule is there because %s", rule.Why)
			}
		})
	}
}

// TestEveryRuleCanFail lays each folder of testdata/broken over the sound house in testdata/sound. In the broken
// files, a comment `// want rule "message"` stands where a violation is expected, and nothing else may be reported.
func TestEveryRuleCanFail(t *testing.T) {
	cases, err := os.ReadDir(filepath.Join("testdata", "broken"))
	if err != nil {
		t.Fatal(err)
	}
	proven := map[string]bool{}
	for _, c := range cases {
		t.Run(c.Name(), func(t *testing.T) {
			root := t.TempDir()
			lay(t, root, filepath.Join("testdata", "sound"))
			lay(t, root, filepath.Join("testdata", "broken", c.Name()))
			wants := expectations(t, root)
			if len(wants) == 0 {
				t.Fatal("the case expects no violation")
			}
			house, err := Load(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range Rules() {
				violations, _ := house.Check(rule)
				for _, v := range violations {
					i := slices.IndexFunc(wants, func(w expectation) bool {
						return w.rule == v.Rule && w.file == v.File && w.line == v.Line && strings.Contains(v.Message, w.message)
					})
					if i < 0 {
						t.Errorf("not expected: %s", v)
						continue
					}
					proven[rule.Name] = true
					wants = slices.Delete(wants, i, i+1)
				}
			}
			for _, w := range wants {
				t.Errorf("expected and not found: %s:%d: %s (%s)", w.file, w.line, w.message, w.rule)
			}
		})
	}
	for _, rule := range Rules() {
		if !proven[rule.Name] {
			t.Errorf("no case in testdata/broken breaks the rule %s", rule.Name)
		}
	}
}

func TestASoundHouseBreaksNoRule(t *testing.T) {
	root := t.TempDir()
	lay(t, root, filepath.Join("testdata", "sound"))
	house, err := Load(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		violations, looked := house.Check(rule)
		if looked == 0 {
			t.Errorf("%s found nothing to look at", rule.Name)
		}
		for _, v := range violations {
			t.Error(v)
		}
	}
}

func TestLoadFails(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"where there is no module":        {map[string]string{"a.go": "package a\n"}, "go list"},
		"where the module has no package": {map[string]string{"go.mod": "module x\n"}, "no packages"},
		"where the code does not compile": {map[string]string{"go.mod": "module x\n", "a.go": "package a\n\nvar x int = \"\"\n"}, "cannot use"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, content := range tc.files {
				if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(t.Context(), root)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestRulesHaveDistinctNamesAndReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		if seen[r.Name] || r.Why == "" {
			t.Errorf("rule %q: its name is taken or it gives no reason", r.Name)
		}
		seen[r.Name] = true
	}
}

func TestFloorsAreDistinct(t *testing.T) {
	seen := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(rooms())) {
		floor := rooms()[name].floor
		if before, ok := seen[floor]; ok {
			t.Errorf("%s and %s are on one floor, so each could be said to come first", before, name)
		}
		seen[floor] = name
	}
}

type expectation struct {
	rule, file, message string
	line                int
}

func expectations(t *testing.T, root string) []expectation {
	t.Helper()
	pattern := regexp.MustCompile(`// want (.*)$`)
	one := regexp.MustCompile(`([a-z-]+) "([^"]*)"`)
	var found []expectation
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		number := 0
		for line := range strings.Lines(string(data)) {
			number++
			match := pattern.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if match == nil {
				continue
			}
			each := one.FindAllStringSubmatch(match[1], -1)
			if each == nil {
				return fmt.Errorf("%s:%d: a want comment without a rule and a message in quotes", rel, number)
			}
			for _, m := range each {
				found = append(found, expectation{rule: m[1], message: m[2], file: filepath.ToSlash(rel), line: number})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// lay copies a folder over another; a file called x.gone takes x away.
func lay(t *testing.T, to, from string) {
	t.Helper()
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if gone, ok := strings.CutSuffix(target, ".gone"); ok {
			return os.Remove(gone)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
