package dump

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// key names an object of a kind.
type key struct{ namespace, name string }

// index is what Open remembers of everything it read.
type index struct {
	kinds   *kindTable
	max     int
	entries []entry
	ids     []map[key]int32 // by kind
	pack    *pack
	newest  time.Time
	foreign map[string]bool // kinds that were passed over, with their apiVersion
	passed  int             // objects that were passed over
	lists   []*list
	open    []*list // the lists around what is added next
	meta    *metadata
	absent  map[snapshot.Ref]bool // as meta says
	metaIn  *file
}

// list is one List that was read, and the namespaces of its items by kind.
type list struct {
	file             *file
	kind, apiVersion string
	spaces           map[kindID]map[string]bool
	items            int
	pending          []entry // without a kind of their own, until the List's is known
}

func newIndex(l Limits) *index {
	x := &index{kinds: newKindTable(), max: l.Objects, pack: &pack{max: l.HeldBytes}, foreign: map[string]bool{}}
	x.ids = make([]map[key]int32, len(x.kinds.infos))
	for i := range x.ids {
		x.ids[i] = map[key]int32{}
	}
	return x
}

// add takes over what was found in a batch.
func (x *index) add(b *batch) error {
	block := int32(-1)
	if b.packed != nil {
		var err error
		if block, err = x.pack.add(b.packed, b.size); err != nil {
			return b.file.errorAt(-1, err)
		}
	}
	for i := range b.results {
		r := &b.results[i]
		switch r.typ {
		case markStart:
			x.open = append(x.open, &list{file: b.file, kind: r.kind, apiVersion: r.apiVersion, spaces: map[kindID]map[string]bool{}})
		case markEnd:
			if err := x.endList(r.kind, r.apiVersion); err != nil {
				return err
			}
		default:
			if r.meta != nil {
				if err := x.setMeta(b.file, r.meta, r.entry.at.place); err != nil {
					return err
				}
				continue
			}
			if b.file.path == "" {
				r.entry.at.block = block
			}
			if err := x.object(r.entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// current is the innermost list of the file that is being read.
func (x *index) current(f *file) *list {
	for len(x.open) > 0 && x.open[len(x.open)-1].file != f {
		x.open = x.open[:len(x.open)-1] // of a file that was given up
	}
	if len(x.open) == 0 {
		return nil
	}
	return x.open[len(x.open)-1]
}

func (x *index) object(e entry) error {
	l := x.current(e.at.file)
	if l != nil && e.rawKind == "" {
		if l.kind == "" {
			l.pending = append(l.pending, e)
			if len(l.pending) > x.max {
				return x.tooMany(e.at.file)
			}
			return nil
		}
		e.rawKind, e.rawVersion = strings.TrimSuffix(l.kind, "List"), cmp.Or(e.rawVersion, l.apiVersion)
	}
	return x.put(l, e)
}

func (x *index) tooMany(f *file) error {
	return &InputError{Path: f.name, Offset: -1, Err: fmt.Errorf("more than %d objects (Objects): %w", x.max, ErrLimit)}
}

func (x *index) put(l *list, e entry) error {
	if l != nil {
		l.items++
	}
	id, g := x.kinds.resolve(e.rawVersion, e.rawKind)
	if id == unknownKind || e.name == "" {
		x.passed++
		if e.rawKind != "" && len(x.foreign) < skippedNames {
			x.foreign[cmp.Or(e.rawVersion, "?")+" "+e.rawKind] = true
		}
		return nil
	}
	e.kind, e.group = id, g
	e.rawKind, e.rawVersion = "", ""
	if !x.kinds.infos[id].Namespaced {
		e.namespace = ""
	}
	if e.newest.After(x.newest) {
		x.newest = e.newest
	}
	e.at.file.found++
	if l != nil {
		if l.spaces[id] == nil {
			l.spaces[id] = map[string]bool{}
		}
		l.spaces[id][e.namespace] = true
	}
	k := key{e.namespace, e.name}
	if old, ok := x.ids[id][k]; ok {
		if !older(e.version, x.entries[old].version) {
			x.entries[old] = e
		}
		return nil
	}
	if len(x.entries) >= x.max {
		return x.tooMany(e.at.file)
	}
	x.ids[id][k] = int32(len(x.entries))
	x.entries = append(x.entries, e)
	return nil
}

// older tells whether resourceVersion a is older than b. Both are decimal numbers of any length (KEP-5504); where one is not,
// the answer is no, and what was read later counts.
func older(a, b string) bool {
	if !digits(a) || !digits(b) {
		return false
	}
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (x *index) endList(kind, apiVersion string) error {
	if len(x.open) == 0 {
		return nil
	}
	l := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	l.kind, l.apiVersion = cmp.Or(kind, l.kind), cmp.Or(apiVersion, l.apiVersion)
	for _, e := range l.pending {
		e.rawKind, e.rawVersion = strings.TrimSuffix(l.kind, "List"), cmp.Or(e.rawVersion, l.apiVersion)
		if err := x.put(l, e); err != nil {
			return err
		}
	}
	l.pending = nil
	if !strings.HasSuffix(l.kind, "List") {
		return nil // some other object with items
	}
	if l.items == 0 {
		id, _ := x.kinds.resolve(l.apiVersion, strings.TrimSuffix(l.kind, "List"))
		if id == unknownKind && l.kind == "List" {
			id = x.kinds.resource(l.file.base)
		}
		if id == unknownKind {
			return nil
		}
		l.spaces[id] = map[string]bool{}
		l.file.found++
	}
	if len(l.spaces) > 0 {
		x.lists = append(x.lists, l)
	}
	return nil
}

// coverage tells for each kind which namespaces the dump holds in full ("" = all).
//
// A List is taken for everything that there was where it was made. Whether that was one namespace or all of them stands nowhere in
// it, and shows in this, in order:
//  1. Below a folder that is named after the one namespace of its items, or after a namespace if it is empty, it is that
//     namespace's (kubectl cluster-info dump, must-gather).
//  2. A List with items of two namespaces or more, of any kind, was made with --all-namespaces, and so were the others in its folder.
//  3. Otherwise it is that of its items' namespace. An empty one counts for that of the other Lists in its folder; where there
//     are none, for all namespaces, unless Lists of its kind elsewhere are of single ones.
//
// An empty List tells of a kind only where its kind or the file's name says which.
func (x *index) coverage() map[kindID]map[string]bool {
	type folder struct {
		all    bool
		spaces map[string]bool
	}
	folders := map[string]*folder{}
	known := map[string]bool{}
	for i := range x.entries {
		if ns := x.entries[i].namespace; ns != "" {
			known[ns] = true
		} else if x.kinds.infos[x.entries[i].kind].Kind == snapshot.Namespace {
			known[x.entries[i].name] = true
		}
	}
	for _, l := range x.lists {
		f := folders[l.file.dir]
		if f == nil {
			f = &folder{spaces: map[string]bool{}}
			folders[l.file.dir] = f
		}
		for id, spaces := range l.spaces {
			if !x.kinds.infos[id].Namespaced {
				continue
			}
			f.all = f.all || len(spaces) > 1
			maps.Copy(f.spaces, spaces)
		}
	}
	out := map[kindID]map[string]bool{}
	for i := range x.kinds.infos {
		out[kindID(i)] = map[string]bool{}
	}
	var empty []func()
	for _, l := range x.lists {
		f := folders[l.file.dir]
		for id, spaces := range l.spaces {
			only := ""
			if len(spaces) == 1 {
				only = slices.Collect(maps.Keys(spaces))[0]
			}
			own := folderNamespace(l.file.dir, only, known)
			switch {
			case !x.kinds.infos[id].Namespaced, len(spaces) > 1:
				out[id][""] = true
			case own != "":
				out[id][own] = true
			case f.all:
				out[id][""] = true
			case len(spaces) == 1:
				out[id][only] = true
			case len(f.spaces) == 1:
				out[id][slices.Collect(maps.Keys(f.spaces))[0]] = true
			default:
				empty = append(empty, func() {
					if len(out[id]) == 0 {
						out[id][""] = true
					} else {
						out[id][path.Base(l.file.dir)] = true
					}
				})
			}
		}
	}
	for _, cover := range empty {
		cover()
	}
	return out
}

// folderNamespace returns the namespace that a folder is named after: that of the items, or for an empty List any that is known.
// A must-gather has it two levels up: namespaces/NAME/core.
func folderNamespace(dir, only string, known map[string]bool) string {
	base, parent := path.Base(dir), path.Dir(dir)
	if path.Base(path.Dir(parent)) == "namespaces" {
		if ns := path.Base(parent); only == "" || ns == only {
			return ns
		}
	}
	if only == "" && known[base] || only != "" && base == only {
		return base
	}
	return ""
}
