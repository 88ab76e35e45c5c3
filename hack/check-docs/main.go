package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	binary := flag.String("binary", "bin/kubectl-stuck", "the built plugin")
	flag.Parse()
	problems, files, err := run(*root, *binary)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "check-docs:", err)
		os.Exit(1)
	case len(problems) > 0:
		fmt.Println(strings.Join(problems, "\n"))
		os.Exit(1)
	}
	fmt.Printf("%d Markdown files\n", files)
}

func run(root, binary string) (problems []string, files int, err error) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return nil, 0, err
	}
	tool, err := Ask(context.Background(), binary)
	if err != nil {
		return nil, 0, err
	}
	pages, err := markdown(root)
	if err != nil {
		return nil, 0, err
	}
	if len(pages) == 0 {
		return nil, 0, errors.New("there are no Markdown files")
	}
	checker := Checker{Root: root, Tool: tool, Targets: Targets(string(makefile))}
	for _, p := range pages {
		text, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			return nil, 0, err
		}
		problems = append(problems, checker.Page(p, string(text))...)
	}
	return problems, len(pages), nil
}

// markdown lists the files to check, from the root.
func markdown(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && slices.Contains([]string{".git", ".build", "bin", "dist", "testdata", "node_modules"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) == ".md" {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			found = append(found, rel)
		}
		return nil
	})
	return found, err
}

// Tool is what the binary says it has.
type Tool struct {
	// Help is the help of each command; that of the program itself and its global flags is under "".
	Help map[string]string
}

// Ask runs the binary for its commands and their help.
func Ask(ctx context.Context, binary string) (Tool, error) {
	// A path without a separator would be looked for on PATH.
	binary, err := filepath.Abs(binary)
	if err != nil {
		return Tool{}, err
	}
	out, err := exec.CommandContext(ctx, binary, "__complete", "").Output()
	if err != nil {
		return Tool{}, fmt.Errorf("ask %s for its commands: %w", binary, err)
	}
	tool := Tool{Help: map[string]string{}}
	add := func(key string, args ...string) error {
		help, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("run %s %s: %w\n%s", binary, strings.Join(args, " "), err, help)
		}
		tool.Help[key] += string(help)
		return nil
	}
	if err := add("", "--help"); err != nil {
		return Tool{}, err
	}
	for line := range strings.Lines(string(out)) {
		command, _, described := strings.Cut(strings.TrimSpace(line), "\t")
		if !described || command == "" || strings.HasPrefix(command, ":") || strings.HasPrefix(command, "-") {
			continue
		}
		if command == "fix" { // the one command with commands of its own
			if err := add("fix pod", "fix", "pod", "--help"); err != nil {
				return Tool{}, err
			}
		}
		if err := add(command, command, "--help"); err != nil {
			return Tool{}, err
		}
		if command == "options" {
			if err := add("", "options"); err != nil {
				return Tool{}, err
			}
		}
	}
	if len(tool.Help) < 2 {
		return Tool{}, fmt.Errorf("%s names no commands", binary)
	}
	return tool, nil
}
