package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl and the plugin are stand-ins here: hack/verify-k9s runs the real ones.
func standIns(t *testing.T, plugin string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	binary = filepath.Join(dir, "it's the plugin")
	for name, text := range map[string]string{
		filepath.Join(dir, "kubectl"): "#!/bin/sh\nshift\nexec kubectl-stuck \"$@\"\n",
		binary:                        "#!/bin/sh\n" + plugin + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return binary
}

const unreachable = "echo \"connect to 127.0.0.1:1: refused, by $KUBECONFIG\" >&2; exit 1"

func plugins(script string, args ...string) []byte {
	text := "plugins:\n  p:\n    command: env\n    args:\n    - KUBECONFIG=$KUBECONFIG\n    - sh\n    - -c\n    - " + script + "\n    - kubectl-stuck\n"
	for _, a := range args {
		text += "    - " + a + "\n"
	}
	return []byte(text)
}

const good = `'kubectl stuck "$@" 2>&1 | less -R'`

func TestRunAccepts(t *testing.T) {
	for name, tc := range map[string]struct{ plugin, args string }{
		"a server that does not answer": {unreachable, "pods"},
		"an answer":                     {"echo nothing is stuck", "pods"},
		"hostile names":                 {unreachable, "--context=$CONTEXT"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Run(t.Context(), plugins(good, tc.args), standIns(t, tc.plugin)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		file   []byte
		plugin string
		want   string
	}{
		"a mistake in usage":         {plugins(good, "podz"), "echo 127.0.0.1:1 unknown command; exit 2", "ended with 2"},
		"another failure":            {plugins(good, "pods"), "echo context does not exist; exit 1", "another reason"},
		"names inside the script":    {plugins(`'kubectl stuck pods --context=$CONTEXT 2>&1 | less -R'`), unreachable, "sh"},
		"unquoted arguments":         {plugins(`'kubectl stuck $* 2>&1 | less -R'`, "--context=$CONTEXT"), unreachable, "instead of"},
		"a command that says naught": {plugins(good, "pods"), "exit 0", "nothing would be shown"},
		"a script that runs nothing": {plugins(`'true'`, "pods"), unreachable, "was not started"},
		"a file without plugins":     {[]byte("plugins: {}\n"), unreachable, "no plugins"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Run(t.Context(), tc.file, standIns(t, tc.plugin))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

func TestSubstitute(t *testing.T) {
	known := map[string]string{"NAME": "n", "NAMESPACE": "ns"}
	for in, want := range map[string]string{
		"$NAME in $NAMESPACE": "n in ns",
		"${name}x":            "nx",
		`"$@" $1 $OTHER`:      `"$@" $1 $OTHER`,
	} {
		if got := Substitute(in, known); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// The plugins of the repository get past everything but the plugin itself.
func TestTheRepositorysPluginsReachThePlugin(t *testing.T) {
	text, err := os.ReadFile("../../../plugins.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), text, standIns(t, unreachable)); err != nil {
		t.Error(err)
	}
}
