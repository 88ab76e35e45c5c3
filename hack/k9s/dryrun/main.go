package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

func main() {
	plugins := flag.String("plugins", "plugins.yaml", "the plugins")
	binary := flag.String("binary", "bin/kubectl-stuck", "the built plugin")
	flag.Parse()
	text, err := os.ReadFile(*plugins)
	if err == nil {
		err = Run(context.Background(), text, *binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Plugin is what matters here of a plugin.
type Plugin struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
	Scopes  []string `json:"scopes"`
}

// values are what K9s would fill in for a row.
func values(kubeconfig string) map[string]string {
	return map[string]string{
		"NAMESPACE":  "shop",
		"NAME":       "cart-7d9f",
		"CONTEXT":    `it's "prod"; exit 9 $(exit 9)`,
		"KUBECONFIG": kubeconfig,
	}
}

// variable is K9s' own pattern (internal/view/env.go).
var variable = regexp.MustCompile(`(\$(!?)([\w\-]+))|(\$\{(!?)([\w\-%/: ]+)\})`)

// Substitute fills in an argument as K9s does: known variables are replaced as text, others stay as they are.
func Substitute(arg string, values map[string]string) string {
	return variable.ReplaceAllStringFunc(arg, func(found string) string {
		if v, ok := values[strings.ToUpper(strings.Trim(found, "${}!"))]; ok {
			return v
		}
		return found
	})
}

// Run runs every plugin of the file.
func Run(ctx context.Context, text []byte, binary string) error {
	var file struct {
		Plugins map[string]Plugin `json:"plugins"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return err
	}
	if len(file.Plugins) == 0 {
		return errors.New("there are no plugins")
	}
	dir, err := os.MkdirTemp("", "k9s")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	if err := prepare(dir, binary); err != nil {
		return err
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(file.Plugins)) {
		words, err := runOne(ctx, file.Plugins[id], dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id, err))
			continue
		}
		fmt.Printf("%s: kubectl stuck %s\n", id, strings.Join(words, " "))
	}
	return errors.Join(errs...)
}

// prepare puts on a PATH of its own: a kubectl-stuck that notes what it was given and how it ended, a pager that does
// not wait, and a kubeconfig of a server that does not answer.
func prepare(dir, binary string) error {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(binary, "'", `'\''`) + "'"
	for name, text := range map[string]string{
		"kubectl-stuck": "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done > \"$DRYRUN/args\"\n" + quoted +
			" \"$@\"\ncode=$?\necho $code > \"$DRYRUN/code\"\nexit $code\n",
		"less": "#!/bin/sh\ncat > \"$DRYRUN/shown\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink(kubectl, filepath.Join(dir, "kubectl")); err != nil {
		return err
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "https://127.0.0.1:1"}}},
		"users":    []any{map[string]any{"name": "u", "user": map[string]any{"token": "none"}}},
		"contexts": []any{map[string]any{"name": values("")["CONTEXT"], "context": map[string]any{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "kubeconfig"), config, 0o600)
}

func runOne(ctx context.Context, p Plugin, dir string) (words []string, err error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	known := values(filepath.Join(dir, "kubeconfig"))
	args := make([]string, len(p.Args))
	var expected []string // what the plugin should be given: everything after the name of the script
	for i, a := range p.Args {
		args[i] = Substitute(a, known)
		if i > 0 && slices.Contains(p.Args[:i], "kubectl-stuck") {
			expected = append(expected, args[i])
		}
	}
	for _, leftover := range []string{"args", "code", "shown"} {
		if err := os.Remove(filepath.Join(dir, leftover)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, p.Command, args...)
	// No KUBECONFIG: the plugin's own has to reach kubectl.
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "HOME=" + dir, "DRYRUN=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s %q: %w\n%s", p.Command, args, err, out)
	}
	read := func(name string) string {
		text, readErr := os.ReadFile(filepath.Join(dir, name))
		if readErr != nil {
			err = errors.Join(err, fmt.Errorf("the plugin or the pager was not started: %w", readErr))
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	given, code, shown := strings.Split(read("args"), "\n"), read("code"), read("shown")
	switch {
	case err != nil:
		return nil, err
	case !slices.Equal(given, expected):
		return nil, fmt.Errorf("the plugin was given %q instead of %q", given, expected)
	case code != "0" && code != "1": // 1: the server does not answer
		return nil, fmt.Errorf("kubectl stuck %q ended with %s:\n%s", given, code, shown)
	case shown == "":
		return nil, errors.New("nothing would be shown")
	case code == "1" && !strings.Contains(shown, "127.0.0.1:1"):
		return nil, fmt.Errorf("kubectl stuck %q failed for another reason than a server that does not answer:\n%s", given, shown)
	}
	return given, nil
}
