//go:build ignore

// Validate checks a plugins.yaml as K9s loads it. hack/verify-k9s builds it inside a copy of K9s' module, because
// K9s' schemas and validator are internal packages: this is K9s' own code judging, not a likeness of it.
//
// The schemas let unknown fields of a plugin pass (K9s drops them without a word), key names that do not exist are
// only found when a view opens, and so are keys that K9s itself uses. All three are errors here.
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/derailed/k9s/internal/config/json"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: validate PLUGINS.YAML K9S-SOURCE")
		os.Exit(2)
	}
	if err := validate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func validate(name, source string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	schema, err := json.NewValidator().ValidatePlugins(data)
	if err != nil {
		return err
	}
	if schema != json.PluginsSchema {
		return fmt.Errorf("it is valid by %s, not by %s: K9s' plugins.yaml has its plugins below plugins", schema, json.PluginsSchema)
	}
	var file struct {
		Plugins map[string]map[string]any `yaml:"plugins"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return err
	}
	if len(file.Plugins) == 0 {
		return errors.New("it has no plugins")
	}
	known, err := fields(filepath.Join(source, "internal", "config", "plugin.go"))
	if err != nil {
		return err
	}
	keys, err := os.ReadFile(filepath.Join(source, "internal", "ui", "key.go"))
	if err != nil {
		return err
	}
	var errs []error
	taken := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(file.Plugins)) {
		p := file.Plugins[id]
		for field := range p {
			if !slices.Contains(known, field) {
				errs = append(errs, fmt.Errorf("%s: K9s does not know the field %s", id, field))
			}
		}
		shortCut := fmt.Sprint(p["shortCut"])
		scopes, _ := p["scopes"].([]any) // the schema has seen to it that it is a list of strings
		for _, scope := range scopes {
			slot := fmt.Sprint(scope, " ", shortCut)
			if other, ok := taken[slot]; ok {
				errs = append(errs, fmt.Errorf("%s and %s both want %s in %s", other, id, shortCut, scope))
			}
			taken[slot] = id
		}
		if !strings.Contains(string(keys), `"`+shortCut+`"`) {
			errs = append(errs, fmt.Errorf("%s: K9s knows no key %s", id, shortCut))
			continue
		}
		constant := "Key" + strings.ReplaceAll(shortCut, "-", "")
		used, err := uses(filepath.Join(source, "internal", "view"), constant)
		if err != nil {
			return err
		}
		if used != "" {
			errs = append(errs, fmt.Errorf("%s: K9s itself uses %s in %s", id, shortCut, used))
		}
		fmt.Printf("%s: %s in %v\n", id, shortCut, scopes)
	}
	return errors.Join(errs...)
}

// fields are the YAML names of K9s' Plugin struct.
func fields(name string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Plugin" {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				if f.Tag != nil {
					found = append(found, reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("yaml"))
				}
			}
		}
		return false
	})
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no struct Plugin with fields", name)
	}
	return found, nil
}

// uses names a file of K9s' views that mentions a key.
func uses(dir, constant string) (string, error) {
	pattern := regexp.MustCompile(`\b` + constant + `\b`)
	found := ""
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		data, err := os.ReadFile(name)
		if err == nil && pattern.Match(data) {
			found = filepath.Base(name)
		}
		return err
	})
	return found, err
}
