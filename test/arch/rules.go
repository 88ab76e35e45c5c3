package arch

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Rule is a rule of the house.
type Rule struct {
	Name string
	// Why says what would go wrong without it.
	Why   string
	check func(*visit)
}

// Violation is a place where a rule is broken.
type Violation struct {
	Rule, File string // File from the root
	Line       int
	Message    string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s:%d: %s (%s)", v.File, v.Line, v.Message, v.Rule)
}

// visit is one rule's walk through the house.
type visit struct {
	*House
	rule       *Rule
	looked     int
	violations []Violation
}

// look counts what was examined, so that a rule which finds nothing to examine can be told from one that holds.
func (v *visit) look() { v.looked++ }

func (v *visit) report(at token.Pos, format string, args ...any) {
	position := v.Fset.Position(at)
	v.violations = append(v.violations, Violation{
		Rule: v.rule.Name, File: v.rel(position.Filename), Line: position.Line, Message: fmt.Sprintf(format, args...)})
}

// Check walks one rule through the house. The number is how many packages or files it had to do with.
func (h *House) Check(r *Rule) (violations []Violation, looked int) {
	v := &visit{House: h, rule: r}
	r.check(v)
	return v.violations, v.looked
}

// Rules are all rules.
func Rules() []*Rule {
	return []*Rule{
		{"one-way", "data flows one way; a package that calls back up makes a knot", oneWay},
		{"known-room", "a package without a place in the house is bound by no rule", knownRoom},
		{"pure-imports", "a dump must give the same answer as the live cluster did", pureImports},
		{"pure-platform", "a file for one platform escapes the rules on all others", purePlatform},
		{"clock", "now is the snapshot's: only cli reads the clock", clock},
		{"environment", "only cli knows the environment and the standard streams", environment},
		{"restricted-imports", "each outside module has one place in the house", restrictedImports},
		{"only-apply-writes", "every write to a cluster passes the guards, the journal and the preconditions", onlyApplyWrites},
		{"thin-main", "what main does cannot be tested", thinMain},
		{"no-init", "code that runs by being imported has no caller to follow", noInit},
		{"no-state", "state at package level is shared by tests and calls that know nothing of each other", noState},
		{"no-exit", "an exit skips what was deferred, and cannot be tested", noExit},
		{"no-panic", "an error can be shown in its place; a panic ends the run", noPanic},
		{"no-printing", "results go through render to the streams that the caller gave", noPrinting},
		{"doc-go", "a newcomer reads what a package is and must never do", docGo},
		{"names", "a package called util is about nothing, and grows", names},
		{"helpers-in-tests", "a test helper in a program ships the test framework", helpersInTests},
		{"tests-run", "a test that skips itself is green without having run", testsRun},
	}
}

// inHouse are the packages below pkg, without test helpers.
func (v *visit) inHouse(yield func(*Package, room)) {
	known := rooms()
	for _, p := range v.Packages {
		if r, ok := known[p.Room()]; ok && !isTestHelper(p.Rel) {
			yield(p, r)
		}
	}
}

func (v *visit) imports(p *Package, yield func(importPath string, at token.Pos)) {
	for _, f := range p.Files {
		for _, i := range f.Imports {
			if s, err := strconv.Unquote(i.Path.Value); err == nil {
				yield(s, i.Pos())
			}
		}
	}
}

// roomOf is the room of an imported package of this house, or "".
func (v *visit) roomOf(importPath string) string {
	rel, ok := strings.CutPrefix(importPath, v.Module+"/")
	if !ok {
		return ""
	}
	return (&Package{Rel: rel}).Room()
}

func oneWay(v *visit) {
	known := rooms()
	v.inHouse(func(p *Package, r room) {
		v.look()
		v.imports(p, func(importPath string, at token.Pos) {
			if !below(importPath, v.Module) {
				return
			}
			target := v.roomOf(importPath)
			other, ok := known[target]
			switch {
			case target == "":
				v.report(at, "%s imports %s, which is not below pkg", p.Rel, strings.TrimPrefix(importPath, v.Module+"/"))
			case !ok || target == p.Room():
			case other.floor >= r.floor:
				v.report(at, "%s imports %s, which comes after it: data flows from %s to %s", p.Rel, target, p.Room(), target)
			case len(other.onlyFor) > 0 && !slices.Contains(other.onlyFor, p.Room()):
				v.report(at, "%s imports %s, which is only for %s", p.Rel, target, strings.Join(other.onlyFor, " and "))
			}
		})
	})
}

func knownRoom(v *visit) {
	known := rooms()
	for _, p := range v.Packages {
		switch top, _, _ := strings.Cut(p.Rel, "/"); top {
		case "pkg":
			v.look()
			if _, ok := known[p.Room()]; !ok && !isTestHelper(p.Rel) {
				v.report(p.Files[0].Package, "%s has no room in the house: give it one in test/arch/house.go", p.Rel)
			}
		case "cmd", "hack":
			v.look()
		default:
			v.report(p.Files[0].Package, "%s is neither below pkg nor cmd nor hack", p.Rel)
		}
	}
}

func pureImports(v *visit) {
	v.inHouse(func(p *Package, r room) {
		if !r.pure {
			return
		}
		v.look()
		allowed := pureModules()
		if p.Room() == "snapshot" {
			allowed = allowed[:2]
		}
		v.imports(p, func(importPath string, at token.Pos) {
			first, _, _ := strings.Cut(importPath, "/")
			outside := strings.Contains(first, ".") && !below(importPath, v.Module)
			switch {
			case belowAny(importPath, pureAll()):
			case belowAny(importPath, impure()):
				v.report(at, "%s imports %s: it decides on the snapshot alone, without I/O, clock or chance", p.Rel, importPath)
			case outside && !belowAny(importPath, allowed):
				v.report(at, "%s imports %s, which is not among the modules that pure packages may use", p.Rel, importPath)
			}
		})
		for _, d := range p.Deps {
			if belowAny(d, clients()) {
				v.report(p.Files[0].Package, "%s reaches %s through its imports", p.Rel, d)
			}
		}
	})
}

func purePlatform(v *visit) {
	v.inHouse(func(p *Package, r room) {
		if !r.pure {
			return
		}
		v.look()
		for _, name := range p.Ignored {
			v.report(p.Files[0].Package, "%s has %s, which is not built on this platform", p.Rel, name)
		}
	})
}

// uses reports each use of an object that judge has something to say about; judge is given its full name
// (time.Now, (time.Time).Local).
func (v *visit) uses(p *Package, judge func(name string) string) {
	for _, f := range p.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok {
				return true
			}
			object := p.Info.Uses[id]
			if object == nil {
				return true
			}
			if complaint := judge(fullName(object)); complaint != "" {
				v.report(id.Pos(), "%s uses %s: %s", p.Rel, fullName(object), complaint)
			}
			return true
		})
	}
}

func fullName(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		return f.FullName()
	}
	if b, ok := o.(*types.Builtin); ok {
		return "builtin " + b.Name()
	}
	if o.Pkg() == nil || o.Parent() != o.Pkg().Scope() {
		return o.Name()
	}
	return o.Pkg().Path() + "." + o.Name()
}

func clock(v *visit) {
	readings := []string{
		"time.Now", "time.Since", "time.Until", "time.Local", "(time.Time).Local",
		"k8s.io/apimachinery/pkg/apis/meta/v1.Now", "k8s.io/apimachinery/pkg/apis/meta/v1.NowMicro",
	}
	waiting := []string{
		"time.After", "time.AfterFunc", "time.NewTicker", "time.NewTimer", "time.Sleep", "time.Tick",
		"context.WithTimeout", "context.WithTimeoutCause", "context.WithDeadline", "context.WithDeadlineCause",
	}
	v.inHouse(func(p *Package, r room) {
		if r.cli {
			return
		}
		v.look()
		v.uses(p, func(name string) string {
			switch {
			case slices.Contains(readings, name):
				return "only cli reads the clock and the time zone; take now from the snapshot or as a parameter"
			case r.pure && slices.Contains(waiting, name):
				return "a pure package does not wait"
			}
			return ""
		})
		v.imports(p, func(importPath string, at token.Pos) {
			if below(importPath, "k8s.io/utils/clock") {
				v.report(at, "%s imports %s: only cli reads the clock", p.Rel, importPath)
			}
		})
	})
}

func environment(v *visit) {
	forbidden := []string{
		"os.Args", "os.Clearenv", "os.Environ", "os.ExpandEnv", "os.Getenv", "os.Getpid", "os.Getwd", "os.Hostname", "os.LookupEnv",
		"os.Setenv", "os.Stderr", "os.Stdin", "os.Stdout", "os.Unsetenv", "os.UserCacheDir", "os.UserConfigDir", "os.UserHomeDir",
		"syscall.Getenv", "syscall.Environ",
	}
	v.inHouse(func(p *Package, r room) {
		if r.cli {
			return
		}
		v.look()
		v.uses(p, func(name string) string {
			if slices.Contains(forbidden, name) {
				return "only cli knows the environment and the standard streams"
			}
			return ""
		})
		v.imports(p, func(importPath string, at token.Pos) {
			if belowAny(importPath, []string{"os/user", "os/signal", "flag", "k8s.io/client-go/util/homedir"}) {
				v.report(at, "%s imports %s: only cli knows the environment", p.Rel, importPath)
			}
		})
	})
}

func restrictedImports(v *visit) {
	for _, p := range v.Packages {
		if p.Room() == "" || isTestHelper(p.Rel) {
			continue
		}
		v.look()
		v.imports(p, func(importPath string, at token.Pos) {
			for _, r := range restrictions() {
				if !below(importPath, r.prefix) || belowAny(importPath, r.except) {
					continue
				}
				if !belowAny(strings.TrimPrefix(p.Rel, "pkg/"), r.allowed) {
					v.report(at, "%s imports %s: %s; only for %s", p.Rel, importPath, r.why, strings.Join(r.allowed, ", "))
				}
			}
		})
	}
}

// onlyApplyWrites looks at what is called, by type: the writing methods of client-go's and kubectl's clients, and
// requests of net/http that are no reads.
func onlyApplyWrites(v *visit) {
	writing := []string{"Apply", "Bind", "Create", "Delete", "DeleteCollection", "Evict", "Patch", "Post", "Put", "Replace", "Update"}
	clientModules := []string{"k8s.io/client-go", "k8s.io/cli-runtime/pkg/resource", "k8s.io/kubectl"}
	for _, p := range v.Packages {
		if rooms()[p.Room()].writes || !below(p.Rel, "pkg") || isTestHelper(p.Rel) {
			continue
		}
		v.look()
		v.imports(p, func(importPath string, at token.Pos) {
			if below(importPath, "k8s.io/kubectl/pkg/drain") || below(importPath, "k8s.io/client-go/applyconfigurations") {
				v.report(at, "%s imports %s, which is for writing to a cluster", p.Rel, importPath)
			}
		})
		for _, f := range p.Files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					f, ok := p.Info.Uses[n].(*types.Func)
					if !ok || f.Pkg() == nil {
						return true
					}
					method := f.Signature().Recv() != nil
					isWrite := slices.ContainsFunc(writing, func(w string) bool {
						rest, ok := strings.CutPrefix(f.Name(), w) // UpdateStatus, ApplyScale, EvictV1
						return ok && (rest == "" || rest[0] >= 'A' && rest[0] <= 'Z')
					})
					if method && isWrite && belowAny(f.Pkg().Path(), clientModules) {
						v.report(n.Pos(), "%s uses %s: only pkg/apply writes to a cluster", p.Rel, f.FullName())
					}
					if f.Pkg().Path() == "net/http" && slices.Contains([]string{"Post", "PostForm"}, f.Name()) {
						v.report(n.Pos(), "%s uses %s: only pkg/apply writes to a cluster", p.Rel, f.FullName())
					}
				case *ast.CallExpr:
					v.checkVerb(p, n)
				}
				return true
			})
		}
	}
}

// checkVerb judges calls that take the HTTP method as an argument.
func (v *visit) checkVerb(p *Package, call *ast.CallExpr) {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return
	}
	f, ok := p.Info.Uses[id].(*types.Func)
	if !ok || f.Pkg() == nil {
		return
	}
	var argument int
	switch {
	case f.Pkg().Path() == "net/http" && f.Name() == "NewRequest":
	case f.Pkg().Path() == "net/http" && f.Name() == "NewRequestWithContext":
		argument = 1
	case below(f.Pkg().Path(), "k8s.io/client-go") && f.Name() == "Verb":
	default:
		return
	}
	if argument >= len(call.Args) {
		return
	}
	value := p.Info.Types[call.Args[argument]].Value
	if value != nil && value.Kind() == constant.String && slices.Contains([]string{"GET", "HEAD", ""}, constant.StringVal(value)) {
		return
	}
	v.report(call.Pos(), "%s calls %s with a method that is not the constant GET: only pkg/apply writes to a cluster", p.Rel, f.FullName())
}

func thinMain(v *visit) {
	for _, p := range v.Packages {
		if !below(p.Rel, "cmd") {
			continue
		}
		v.look()
		if p.Name != "main" {
			v.report(p.Files[0].Package, "%s is package %s: cmd has programs only", p.Rel, p.Name)
		}
		v.imports(p, func(importPath string, at token.Pos) {
			if importPath != "os" && importPath != v.Module+"/pkg/cli" {
				v.report(at, "%s imports %s: main is os.Exit(cli.Main(...)), nothing else", p.Rel, importPath)
			}
		})
		for _, f := range p.Files {
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Name.Name != "main" || len(d.Body.List) != 1 {
						v.report(d.Pos(), "%s: main is os.Exit(cli.Main(...)), nothing else", p.Rel)
					}
				case *ast.GenDecl:
					if d.Tok != token.IMPORT {
						v.report(d.Pos(), "%s: main is os.Exit(cli.Main(...)), nothing else", p.Rel)
					}
				}
			}
		}
	}
}

func noInit(v *visit) {
	for _, p := range v.Packages {
		v.look()
		for _, f := range p.Files {
			for _, d := range f.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					v.report(f.Pos(), "%s has an init function: let a caller call it", p.Rel)
				}
			}
		}
	}
}

func noExit(v *visit) {
	for _, p := range v.Packages {
		if !below(p.Rel, "pkg") {
			continue
		}
		v.look()
		v.uses(p, func(name string) string {
			exits := slices.Contains([]string{"os.Exit", "syscall.Exit", "runtime.Goexit"}, name) ||
				strings.HasPrefix(name, "log.Fatal") || strings.HasPrefix(name, "(*log.Logger).Fatal") ||
				strings.HasPrefix(name, "k8s.io/klog/v2.Fatal") || strings.HasPrefix(name, "k8s.io/klog/v2.Exit") ||
				name == "k8s.io/kubectl/pkg/cmd/util.CheckErr"
			if exits {
				return "only main exits; return an error"
			}
			return ""
		})
	}
}

func noPanic(v *visit) {
	for _, p := range v.Packages {
		if !below(p.Rel, "pkg") {
			continue
		}
		v.look()
		v.uses(p, func(name string) string {
			if name == "builtin panic" || strings.HasPrefix(name, "log.Panic") || strings.HasPrefix(name, "(*log.Logger).Panic") {
				return "return an error"
			}
			return ""
		})
	}
}

func noPrinting(v *visit) {
	for _, p := range v.Packages {
		if !below(p.Rel, "pkg") {
			continue
		}
		v.look()
		v.uses(p, func(name string) string {
			printing := []string{"fmt.Print", "fmt.Printf", "fmt.Println", "builtin print", "builtin println",
				"log.Print", "log.Printf", "log.Println", "log.Default"}
			if slices.Contains(printing, name) {
				return "write to the stream that the caller gave"
			}
			return ""
		})
	}
}

func docGo(v *visit) {
	for _, p := range v.Packages {
		if below(p.Rel, "cmd") {
			continue // one file, whose comment is the documentation
		}
		v.look()
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + path.Base(p.Rel) + " "
		}
		found := false
		for _, f := range p.Files {
			isDoc := path.Base(v.Fset.Position(f.Package).Filename) == "doc.go"
			switch {
			case isDoc && f.Doc == nil:
				v.report(f.Package, "%s: doc.go has no comment above its package clause", p.Rel)
			case isDoc && !strings.HasPrefix(f.Doc.Text(), want):
				v.report(f.Package, "%s: the comment in doc.go does not begin with %q", p.Rel, want)
			case !isDoc && f.Doc != nil && !ast.IsGenerated(f):
				v.report(f.Package, "%s: the package is documented outside doc.go", p.Rel)
			}
			found = found || isDoc
		}
		if !found {
			v.report(p.Files[0].Package, "%s has no doc.go", p.Rel)
		}
	}
}

func names(v *visit) {
	banned := []string{"base", "common", "commons", "helper", "helpers", "lib", "libs", "misc", "shared", "stuff", "tools", "util", "utils"}
	seen := map[string]bool{}
	for _, s := range v.Sources {
		v.look()
		dir := path.Dir(s.Rel)
		if below(dir, "hack/tools") { // the pinned tools: a module, not a package of ours
			continue
		}
		for _, name := range append(strings.Split(dir, "/"), s.File.Name.Name) {
			key := dir + " " + name
			if slices.Contains(banned, name) && !seen[key] {
				seen[key] = true
				v.report(s.File.Package, "%s: a package called %s is about nothing; name it after what it knows", dir, name)
			}
		}
	}
}

func helpersInTests(v *visit) {
	for _, p := range v.Packages {
		if isTestHelper(p.Rel) {
			continue
		}
		v.look()
		v.imports(p, func(importPath string, at token.Pos) {
			if importPath == "testing" || below(importPath, "testing") || below(importPath, v.Module) && isTestHelper(importPath) {
				v.report(at, "%s imports %s outside its tests", p.Rel, importPath)
			}
		})
	}
}

// testsRun looks at the files of all modules, tests and helpers. These are not type-checked, so it goes by what
// testing's values are declared as, and by the names that they are given everywhere.
func testsRun(v *visit) {
	skipping := []string{"Skip", "Skipf", "SkipNow"}
	for _, s := range v.Sources {
		testing := testingName(s.File)
		if testing == "" {
			continue
		}
		v.look()
		values := testingValues(s.File, testing)
		ast.Inspect(s.File, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x := ""
			switch of := ast.Unparen(selector.X).(type) {
			case *ast.Ident:
				x = of.Name
			case *ast.SelectorExpr:
				x = of.Sel.Name
			case *ast.CallExpr:
				if fun, ok := of.Fun.(*ast.SelectorExpr); ok && fun.Sel.Name == "T" { // suite.T().Skip()
					x = "t"
				}
			}
			switch {
			case x == testing && selector.Sel.Name == "Short":
				v.report(selector.Pos(), "testing.Short leaves out what CI counts on: make the test quick, or run it always")
			case slices.Contains(skipping, selector.Sel.Name) && slices.Contains(values, x):
				v.report(selector.Pos(), "%s.%s: a test that cannot run has failed", x, selector.Sel.Name)
			}
			return true
		})
	}
}

func testingName(f *ast.File) string {
	for _, i := range f.Imports {
		if i.Path.Value == `"testing"` {
			if i.Name != nil {
				return i.Name.Name
			}
			return "testing"
		}
	}
	return ""
}

// testingValues are the names of parameters, fields and variables of testing's types.
func testingValues(f *ast.File, testing string) []string {
	found := []string{"t", "tb"}
	ast.Inspect(f, func(n ast.Node) bool {
		var idents []*ast.Ident
		var declared ast.Expr
		switch n := n.(type) {
		case *ast.Field:
			idents, declared = n.Names, n.Type
		case *ast.ValueSpec:
			idents, declared = n.Names, n.Type
		default:
			return true
		}
		if star, ok := declared.(*ast.StarExpr); ok {
			declared = star.X
		}
		selector, ok := declared.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == testing && slices.Contains([]string{"T", "B", "F", "TB"}, selector.Sel.Name) {
			for _, id := range idents {
				found = append(found, id.Name)
			}
		}
		return true
	})
	return found
}
