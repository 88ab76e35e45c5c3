package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func checker(t *testing.T) Checker {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"README.md":    "# Title\n",
		"docs/page.md": "# A page: `code`, and more\n\n## Twice\n\n## Twice\n\n```sh\n# no heading\n```\n<a id=\"hand-made\"></a>\n",
		"LICENSE":      "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Checker{
		Root:    root,
		Targets: Targets("VERSION := 1\nbuild install: deps ## Build\n\tgo build\ntest:\n.PHONY: build\n"),
		Tool: Tool{Help: map[string]string{
			"":     "Options:\n    --context='': The context\n    -n, --namespace='': The namespace\n",
			"pods": "Options:\n    -A, --all-namespaces=false: All\n    --older-than=0s: Since\n    -o, --output='': How\n",
			"node": "Options:\n",
		}},
	}
}

func TestPageFindsNothingWrongWith(t *testing.T) {
	for name, text := range map[string]string{
		"a call with its flags":           "```console\n$ kubectl stuck pods -A --older-than 5m -o json | jq .\n```\n",
		"a global flag":                   "    `kubectl stuck node worker-1 --context prod -n shop`\n",
		"placeholders and brackets":       "`kubectl stuck pods [NAME...] [-n NS|-A]`",
		"the name alone":                  "`kubectl stuck` finds pods; kubectl stuck is a plugin",
		"prose that only looks like code": "kubectl stuck nothing --here is not in code",
		"another program's flags":         "```\nkubectl stuck pods -o json | head --lines 3\n```",
		"links":                           "[a](LICENSE) [b](docs/page.md) [c](docs/page.md#twice-1) [d](#title) [e](https://example.com/x) [f](/docs/page.md#hand-made \"a title\")",
		"a heading with punctuation":      "[a](docs/page.md#a-page-code-and-more)",
		"a link in code":                  "`[a](nowhere.md)`",
		"make":                            "```sh\nmake build VERSION=v1 && make test\n```",
		"make as a word":                  "to make anything",
	} {
		t.Run(name, func(t *testing.T) {
			if got := checker(t).Page("README.md", text); len(got) > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestPageFinds(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a command that is not there":         {"```\nkubectl stuck fix pod x\n```", "README.md:2: `kubectl stuck fix pod x`: there is no command fix"},
		"a command that is not there, inline": {"a\n\nuse `kubectl stuck fix`", "README.md:3: `kubectl stuck fix`: there is no command fix"},
		"a flag that is not there":            {"`kubectl stuck pods --older`", "pods has no flag --older"},
		"a short flag that is not there":      {"`kubectl stuck node -A`", "node has no flag -A"},
		"a flag of another command":           {"`kubectl stuck node --older-than 5m`", "node has no flag --older-than"},
		"the binary by its own name":          {"`kubectl-stuck podz`", "there is no command podz"},
		"a file that is not there":            {"[a](docs/none.md)", "there is no docs/none.md"},
		"a heading that is not there":         {"[a](docs/page.md#none)", "docs/page.md has no heading #none"},
		"a heading that is code":              {"[a](docs/page.md#no-heading)", "has no heading #no-heading"},
		"a heading of the page itself":        {"[a](#none)", "README.md has no heading #none"},
		"a target that is not there":          {"```\n$ make bild\n```", "`make bild`: the Makefile has no such target"},
	} {
		t.Run(name, func(t *testing.T) {
			got := checker(t).Page("README.md", tc.text)
			if len(got) != 1 || !strings.Contains(got[0], tc.want) {
				t.Errorf("got %q, want one that says %q", got, tc.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	got := Targets("A := b\nC ?= d\nbuild install: x ## Help\n\techo a: b\ntest: ; go test\n.PHONY: build\n")
	if want := []string{"build", "install", "test"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAskFailsWhereTheBinaryDoes(t *testing.T) {
	dir := t.TempDir()
	if _, err := Ask(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a binary that is not there was accepted")
	}
	silent := filepath.Join(dir, "silent")
	if err := os.WriteFile(silent, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Ask(t.Context(), silent); err == nil || !strings.Contains(err.Error(), "names no commands") {
		t.Errorf("a binary without commands: %v", err)
	}
}

func TestRunFailsWithoutPages(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "Makefile"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(root, "stuck")
	script := "#!/bin/sh\ncase $1 in __complete) printf 'pods\\tFind\\n:4\\n' ;; *) echo help ;; esac\n"
	if err := os.WriteFile(binary, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(root, binary); err == nil || !strings.Contains(err.Error(), "no Markdown files") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "README.md"), []byte("`kubectl stuck podz`\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	problems, files, err := run(root, binary)
	if err != nil || files != 1 || len(problems) != 1 {
		t.Errorf("got %q in %d files, %v", problems, files, err)
	}
}
