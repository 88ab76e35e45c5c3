package arch

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// noState lets a package-level variable be a constant that Go has no syntax for: an error value, an embedded file, a
// compiled pattern, a table. Anything that changes it, or that lets somebody else change it, is state.
func noState(v *visit) {
	for _, p := range v.Packages {
		if !below(p.Rel, "pkg") && !below(p.Rel, "cmd") {
			continue
		}
		v.look()
		held := map[types.Object]bool{}
		for _, f := range p.Files {
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.VAR {
					continue
				}
				for _, spec := range g.Specs {
					values, ok := spec.(*ast.ValueSpec)
					if !ok {
						continue
					}
					for _, id := range values.Names {
						object := p.Info.Defs[id]
						if object == nil || id.Name == "_" || isStamp(p, id.Name) {
							continue
						}
						if complaint := mutable(object); complaint != "" {
							v.report(id.Pos(), "%s: variable %s at package level %s", p.Rel, id.Name, complaint)
							continue
						}
						held[object] = true
					}
				}
			}
		}
		for _, f := range p.Files {
			v.findChanges(p, f, held)
		}
	}
}

// isStamp tells the variables that the linker fills in.
func isStamp(p *Package, name string) bool {
	return p.Rel == "pkg/cli" && slices.Contains([]string{"version", "commit", "date"}, name)
}

func mutable(object types.Object) string {
	t := object.Type()
	if isError(t) {
		return ""
	}
	if object.Exported() {
		return "can be changed by everyone who imports it: make it a function"
	}
	switch t := types.Unalias(t).(type) {
	case *types.Pointer:
		fixed := []string{"*regexp.Regexp", "*strings.Replacer", "*text/template.Template", "*html/template.Template"}
		if !slices.Contains(fixed, t.String()) {
			return "is a pointer to " + t.Elem().String() + ": what it points to is shared by everyone"
		}
	case *types.Chan:
		return "is a channel: it is shared by everyone"
	}
	if name := synchronised(t, map[types.Type]bool{}); name != "" {
		return "holds a " + name + ": what needs a lock is state"
	}
	return ""
}

func isError(t types.Type) bool {
	i, ok := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	return ok && types.Implements(t, i)
}

// synchronised finds a type of sync or sync/atomic in t.
func synchronised(t types.Type, seen map[types.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if n, ok := types.Unalias(t).(*types.Named); ok && n.Obj().Pkg() != nil {
		if path := n.Obj().Pkg().Path(); path == "sync" || path == "sync/atomic" {
			return path + "." + n.Obj().Name()
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Struct:
		for f := range u.Fields() {
			if name := synchronised(f.Type(), seen); name != "" {
				return name
			}
		}
	case *types.Array:
		return synchronised(u.Elem(), seen)
	}
	return ""
}

// findChanges reports assignments to the variables or to parts of them, their address being taken, and calls that
// change their argument or receiver.
func (v *visit) findChanges(p *Package, f *ast.File, held map[types.Object]bool) {
	changed := func(e ast.Expr, how string) {
		if id := rootOf(e); id != nil && held[p.Info.Uses[id]] {
			v.report(e.Pos(), "%s: package-level variable %s %s", p.Rel, id.Name, how)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					changed(e, "is assigned to")
				}
			}
		case *ast.IncDecStmt:
			changed(n.X, "is assigned to")
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				changed(n.Key, "is assigned to")
				changed(n.Value, "is assigned to")
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed(n.X, "has its address taken")
			}
		case *ast.CallExpr:
			findChangingCall(p, n, changed)
		}
		return true
	})
}

func findChangingCall(p *Package, call *ast.CallExpr, changed func(ast.Expr, string)) {
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		if b, ok := p.Info.Uses[fun].(*types.Builtin); ok && slices.Contains([]string{"delete", "clear", "copy"}, b.Name()) && len(call.Args) > 0 {
			changed(call.Args[0], "is changed by "+b.Name())
		}
	case *ast.SelectorExpr:
		if s := p.Info.Selections[fun]; s != nil && s.Kind() == types.MethodVal {
			_, ofPointer := s.Obj().(*types.Func).Signature().Recv().Type().(*types.Pointer)
			_, isPointer := p.Info.Types[fun.X].Type.Underlying().(*types.Pointer)
			if ofPointer && !isPointer {
				changed(fun.X, "is changed by its method "+s.Obj().Name())
			}
			return
		}
		f, ok := p.Info.Uses[fun.Sel].(*types.Func)
		if !ok || f.Pkg() == nil || len(call.Args) == 0 {
			return
		}
		inPlace := []string{
			"sort.Float64s", "sort.Ints", "sort.Slice", "sort.SliceStable", "sort.Sort", "sort.Stable", "sort.Strings",
			"slices.Compact", "slices.CompactFunc", "slices.Delete", "slices.DeleteFunc", "slices.Reverse",
			"slices.Sort", "slices.SortFunc", "slices.SortStableFunc",
		}
		if slices.Contains(inPlace, f.FullName()) {
			changed(call.Args[0], "is changed by "+f.FullName())
		}
	}
}

// rootOf is the variable that an expression is a part of.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}
