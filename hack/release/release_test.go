package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const entry = `
  - selector:
      matchLabels:
        os: OS
        arch: ARCH
    {{addURIAndSha "https://example.com/{{ .TagName }}/stuck_{{ .TagName }}_OS_ARCH.tar.gz" .TagName }}
    bin: stuck`

func source(platforms ...string) string {
	var b strings.Builder
	b.WriteString("spec:\n  version: {{ .TagName }}\n  platforms:")
	for _, p := range platforms {
		goos, arch, _ := strings.Cut(p, "/")
		b.WriteString(strings.NewReplacer("OS", goos, "ARCH", arch).Replace(entry))
	}
	return b.String() + "\n"
}

func repositoryTemplate(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../.krew.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheRepositorysManifestNamesEveryPlatform(t *testing.T) {
	assets, err := Assets(repositoryTemplate(t), "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range assets {
		got = append(got, a.Platform())
		if want := "kubectl-stuck_v1.2.3_" + a.OS + "_" + a.Arch + ".tar.gz"; a.Name() != want {
			t.Errorf("%s: archive %s, want %s", a.Platform(), a.Name(), want)
		}
		if want := map[bool]string{true: "kubectl-stuck.exe", false: "kubectl-stuck"}[a.OS == "windows"]; a.Bin != want {
			t.Errorf("%s: binary %s, want %s", a.Platform(), a.Bin, want)
		}
	}
	slices.Sort(got)
	want := []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64"}
	if !slices.Equal(got, want) {
		t.Errorf("platforms %v, want %v", got, want)
	}
}

func TestRenderTakesTheChecksumOfWhatWasBuilt(t *testing.T) {
	dist := t.TempDir()
	if err := os.WriteFile(filepath.Join(dist, "stuck_v1.0.0_linux_amd64.tar.gz"), []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	text, missing, err := Render(source("linux/amd64", "linux/arm64"), "v1.0.0", dist)
	if err != nil {
		t.Fatal(err)
	}
	const sumOfABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	want := "    uri: https://example.com/v1.0.0/stuck_v1.0.0_linux_amd64.tar.gz\n    sha256: " + sumOfABC + "\n"
	if !strings.Contains(text, want) {
		t.Errorf("want\n%s\nin\n%s", want, text)
	}
	if !strings.Contains(text, noChecksum) || !slices.Equal(missing, []string{"stuck_v1.0.0_linux_arm64.tar.gz"}) {
		t.Errorf("the archive that is not there: missing %v in\n%s", missing, text)
	}
}

func TestAssetsRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ source, want string }{
		"no platforms":            {"spec:\n  platforms: []\n", "names no platforms"},
		"a platform twice":        {source("linux/amd64", "linux/amd64"), "twice"},
		"a name that misleads":    {strings.Replace(source("linux/amd64"), "_linux_amd64", "_linux_arm64", 1), "must end in _linux_amd64.tar.gz"},
		"no binary":               {strings.Replace(source("linux/amd64"), "bin: stuck", "", 1), "lacks os, arch, bin or uri"},
		"an unknown variable":     {"x: {{ .Tag }}\n", "fill in the template"},
		"an unknown function":     {"x: {{ sha .TagName }}\n", "parse the template"},
		"what is no YAML":         {"x: [\n", "no YAML"},
		"an address that is none": {`x: {{addURIAndSha "{{ .Nope }}" .TagName }}`, "fill in"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Assets(tc.source, "v1.0.0")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	all, err := Assets(repositoryTemplate(t), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Select(all, "all"); err != nil || len(got) != len(all) {
		t.Errorf("all: %v, %v", got, err)
	}
	if got, err := Select(all, "linux/arm64,windows/amd64"); err != nil || len(got) != 2 || got[0].Platform() != "linux/arm64" {
		t.Errorf("a list: %v, %v", got, err)
	}
	if got, err := Select(all, "host"); err == nil && got[0].Platform() != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("host: %v", got)
	}
	if _, err := Select(all, "plan9/386"); err == nil {
		t.Error("a platform that the manifest does not have was accepted")
	}
}

func TestPackGivesTheSameBytesForTheSameFiles(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "bin")
	if err := os.WriteFile(from, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	var packed [][]byte
	for _, name := range []string{"one.tar.gz", "two.tar.gz"} {
		path := filepath.Join(dir, name)
		if err := Pack(path, []Packed{{Name: "stuck", From: from, Mode: 0o755}}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		packed = append(packed, data)
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("two archives of the same file differ")
	}
	zipped, err := gzip.NewReader(bytes.NewReader(packed[0]))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zipped)
	header, err := archive.Next()
	if err != nil {
		t.Fatal(err)
	}
	if header.Name != "stuck" || header.Mode != 0o755 {
		t.Errorf("got %s with mode %o", header.Name, header.Mode)
	}
	if data, err := io.ReadAll(archive); err != nil || string(data) != "program" {
		t.Errorf("content %q, %v", data, err)
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the only file: %v", err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	template := filepath.Join(dir, "krew.yaml")
	if err := os.WriteFile(template, []byte(source("linux/amd64")), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "stuck.yaml")
	for name, tc := range map[string]struct {
		args []string
		want string // in the error; empty means success
	}{
		"platforms":                                {[]string{"platforms", "-template", template}, ""},
		"no command":                               {nil, "no command"},
		"an unknown command":                       {[]string{"publish", "-template", template, "-version", "v1"}, "unknown command"},
		"a version without v":                      {[]string{"manifest", "-template", template, "-version", "1.0", "-o", out}, "does not begin with v"},
		"a manifest of what is not built":          {[]string{"manifest", "-template", template, "-version", "v1", "-dist", dir, "-o", out}, "make dist"},
		"a manifest without checksums, when asked": {[]string{"manifest", "-template", template, "-version", "v1", "-dist", dir, "-allow-missing", "-o", out}, ""},
		"a manifest without a file":                {[]string{"manifest", "-template", template, "-version", "v1"}, "-o FILE"},
		"an argument too many":                     {[]string{"platforms", "-template", template, "x"}, "unexpected"},
		"an archive nobody asked for":              {[]string{"archives", "-template", template, "-version", "v1", "-platforms", "plan9/386"}, "no platform"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(tc.args, io.Discard, io.Discard)
			if tc.want == "" && err != nil {
				t.Error(err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}
