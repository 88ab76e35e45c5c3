package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

const expected = "linux/amd64\tkubectl-stuck_v1.0.0_linux_amd64.tar.gz\n"

func load(t *testing.T, change func(string) string) (config.Project, error) {
	t.Helper()
	data, err := os.ReadFile("../../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("[linux, darwin, windows]", "[linux]", "[amd64, arm64]", "[amd64]").Replace(string(data))
	changed := change(text)
	name := filepath.Join(t.TempDir(), "goreleaser.yaml")
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return config.Load(name)
}

func TestAProjectThatMakesWhatIsExpectedPasses(t *testing.T) {
	project, err := load(t, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(project, "v1.0.0", strings.NewReader(expected)); err != nil {
		t.Error(err)
	}
}

func TestAProjectFails(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, expected, want string }{
		"with a field that goreleaser does not know": {"binary: kubectl-stuck", "binarry: kubectl-stuck", expected, "binarry"},
		"with another name":                          {"{{ .Tag }}_{{ .Os }}", "{{ .Version }}_{{ .Os }}", expected, "does not make"},
		"with a variable that there is not":          {"{{ .Os }}", "{{ .Oss }}", expected, "archives' name"},
		"with a platform that nobody expects":        {"[linux]", "[linux, darwin]", expected, "does not point to"},
		"without one that is expected":               {"[linux]", "[darwin]", expected, "does not make"},
		"without the licence":                        {"- LICENSE", "- README.md", expected, "LICENSE"},
		"as zip":                                     {"[tar.gz]", "[zip]", expected, "not all tar.gz"},
		"without a version":                          {"pkg/cli.version=", "pkg/cli.versoin=", expected, "does not set"},
		"when nothing is expected":                   {"x-nothing", "", "", "stdin is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			project, err := load(t, func(s string) string { return strings.ReplaceAll(s, tc.from, tc.to) })
			if err == nil {
				err = Check(project, "v1.0.0", strings.NewReader(tc.expected))
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}
