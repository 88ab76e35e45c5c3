// Command goreleaser checks .goreleaser.yaml with goreleaser's own loader, which refuses fields that it does not
// know, and compares what a release would make with what the krew manifest points to.
//
// goreleaser itself would take longer to build than everything else here; its configuration package takes seconds.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

const versionPackage = "github.com/kubectl-stuck/kubectl-stuck/pkg/cli"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goreleaser .goreleaser.yaml TAG < lines of `os/arch archive`")
		os.Exit(2)
	}
	project, err := config.Load(os.Args[1])
	if err == nil {
		err = Check(project, os.Args[2], os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Check compares a project with the archives that are expected of it.
func Check(project config.Project, tag string, expected io.Reader) error {
	if len(project.Builds) != 1 || len(project.Archives) != 1 {
		return fmt.Errorf("it has %d builds and %d archives: one of each is expected", len(project.Builds), len(project.Archives))
	}
	build, archive := project.Builds[0], project.Archives[0]
	var errs []error
	if archive.Formats == nil || !slices.Equal([]string(archive.Formats), []string{"tar.gz"}) || len(archive.FormatOverrides) > 0 {
		errs = append(errs, errors.New("the archives are not all tar.gz"))
	}
	if !slices.ContainsFunc(archive.Files, func(f config.File) bool { return f.Source == "LICENSE" }) {
		errs = append(errs, errors.New("the archives lack the LICENSE, which krew demands"))
	}
	for _, name := range []string{"version", "commit", "date"} {
		if !strings.Contains(strings.Join(build.Ldflags, " "), "-X "+versionPackage+"."+name+"=") {
			errs = append(errs, fmt.Errorf("the linker does not set %s.%s", versionPackage, name))
		}
	}
	name, err := template.New("name").Option("missingkey=error").Parse(archive.NameTemplate)
	if err != nil {
		return fmt.Errorf("the archives' name: %w", err)
	}
	var made []string
	for _, goos := range build.Goos {
		for _, arch := range build.Goarch {
			var b strings.Builder
			values := map[string]string{"ProjectName": project.ProjectName, "Tag": tag, "Version": strings.TrimPrefix(tag, "v"), "Os": goos, "Arch": arch}
			if err := name.Execute(&b, values); err != nil {
				return fmt.Errorf("the archives' name: %w", err)
			}
			made = append(made, goos+"/"+arch+"\t"+b.String()+".tar.gz")
		}
	}
	var wanted []string
	for lines := bufio.NewScanner(expected); lines.Scan(); {
		wanted = append(wanted, lines.Text())
	}
	if len(wanted) == 0 {
		errs = append(errs, errors.New("no archives are expected: the list on stdin is empty"))
	}
	for _, w := range wanted {
		if !slices.Contains(made, w) {
			errs = append(errs, fmt.Errorf("a release does not make %q, which .krew.yaml points to", w))
		}
	}
	for _, m := range made {
		if !slices.Contains(wanted, m) {
			errs = append(errs, fmt.Errorf("a release makes %q, which .krew.yaml does not point to", m))
		}
	}
	return errors.Join(errs...)
}
