package arch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// House is a repository as the rules see it.
type House struct {
	Root     string
	Module   string
	Fset     *token.FileSet
	Packages []*Package // of the main module, in order of path
	Sources  []*Source  // every Go file of every module of the repository
}

// Package is a package of the main module, without its tests, type-checked.
type Package struct {
	Path    string // import path
	Rel     string // folder from the root, with slashes: pkg/snapshot
	Name    string
	Files   []*ast.File
	Ignored []string // Go files that this platform does not build
	Deps    []string // import paths, also the indirect ones
	Info    *types.Info
	Types   *types.Package
}

// Source is a parsed file.
type Source struct {
	Rel  string // from the root, with slashes
	File *ast.File
}

// InTest tells whether the file is one of tests.
func (s *Source) InTest() bool { return strings.HasSuffix(s.Rel, "_test.go") }

// Room is the folder below pkg that the package is in, or "".
func (p *Package) Room() string {
	rest, ok := strings.CutPrefix(p.Rel, "pkg/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

type listed struct {
	ImportPath     string
	Name           string
	Dir            string
	Export         string
	Standard       bool
	GoFiles        []string
	CgoFiles       []string
	IgnoredGoFiles []string
	Deps           []string
	ImportMap      map[string]string
	Module         *struct {
		Path string
		Main bool
	}
	Error *struct{ Err string }
}

// Load reads the repository at root and type-checks its main module.
func Load(ctx context.Context, root string) (*House, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	list, err := goList(ctx, root)
	if err != nil {
		return nil, err
	}
	h := &House{Root: root, Fset: token.NewFileSet()}
	exports := map[string]string{}
	for _, l := range list {
		exports[l.ImportPath] = l.Export
	}
	compiled := importer.ForCompiler(h.Fset, "gc", func(importPath string) (io.ReadCloser, error) {
		name := exports[importPath]
		if name == "" {
			return nil, fmt.Errorf("no export data of %s", importPath)
		}
		return os.Open(name)
	})
	for _, l := range list {
		if l.Module == nil || !l.Module.Main {
			continue
		}
		h.Module = l.Module.Path
		p, err := h.check(l, compiled)
		if err != nil {
			return nil, err
		}
		h.Packages = append(h.Packages, p)
	}
	if len(h.Packages) == 0 {
		return nil, fmt.Errorf("the main module in %s has no packages", root)
	}
	slices.SortFunc(h.Packages, func(a, b *Package) int { return strings.Compare(a.Path, b.Path) })
	if err := h.parseAll(); err != nil {
		return nil, err
	}
	return h, nil
}

func goList(ctx context.Context, root string) ([]listed, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-export",
		"-json=ImportPath,Name,Dir,Export,Standard,GoFiles,CgoFiles,IgnoredGoFiles,Deps,ImportMap,Module,Error", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w\n%s", root, err, stderr.String())
	}
	var list []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the answer of go list: %w", err)
		}
		if l.Error != nil {
			return nil, fmt.Errorf("%s: %s", l.ImportPath, l.Error.Err)
		}
		list = append(list, l)
	}
}

func (h *House) check(l listed, compiled types.Importer) (*Package, error) {
	rel, err := filepath.Rel(h.Root, l.Dir)
	if err != nil {
		return nil, err
	}
	p := &Package{Path: l.ImportPath, Rel: filepath.ToSlash(rel), Name: l.Name, Deps: l.Deps, Ignored: l.IgnoredGoFiles,
		Info: &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Types: map[ast.Expr]types.TypeAndValue{}}}
	if len(l.CgoFiles) > 0 {
		return nil, fmt.Errorf("%s uses cgo (%s): it could not be built for every platform", l.ImportPath, strings.Join(l.CgoFiles, ", "))
	}
	for _, name := range l.GoFiles {
		f, err := h.parse(filepath.Join(l.Dir, name))
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f)
	}
	config := types.Config{Importer: mapped{compiled, l.ImportMap}}
	if p.Types, err = config.Check(l.ImportPath, h.Fset, p.Files, p.Info); err != nil {
		return nil, fmt.Errorf("type-check %s: %w", l.ImportPath, err)
	}
	return p, nil
}

// mapped resolves the import paths that stand in source to those that were built.
type mapped struct {
	types.Importer
	paths map[string]string
}

func (m mapped) Import(importPath string) (*types.Package, error) {
	if p, ok := m.paths[importPath]; ok {
		importPath = p
	}
	return m.Importer.Import(importPath)
}

func (h *House) parse(name string) (*ast.File, error) {
	f, err := parser.ParseFile(h.Fset, name, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return f, nil
}

// parseAll reads every Go file of the repository, of all modules, platforms and tests.
func (h *House) parseAll() error {
	return filepath.WalkDir(h.Root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			skipped := name != h.Root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) ||
				slices.Contains([]string{"testdata", "third_party", "vendor", "bin", "dist"}, base)
			if skipped {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(base) != ".go" {
			return nil
		}
		f, err := h.parse(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(h.Root, name)
		if err != nil {
			return err
		}
		h.Sources = append(h.Sources, &Source{Rel: filepath.ToSlash(rel), File: f})
		return nil
	})
}

// rel is a path from the root, for messages.
func (h *House) rel(name string) string {
	if r, err := filepath.Rel(h.Root, name); err == nil {
		return filepath.ToSlash(r)
	}
	return name
}
