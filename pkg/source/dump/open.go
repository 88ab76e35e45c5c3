package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Options say how files are read.
type Options struct {
	// AsOf is the time at which the dump was taken, for dumps that do not record it. Zero: the newest timestamp found in it.
	AsOf time.Time
	// NotAfter is the latest time that is believed: a later timestamp comes from a wrong clock and does not tell when the dump was
	// taken. Callers pass the present. Zero: every timestamp is believed.
	NotAfter time.Time
	// Stdin is what the path "-" reads. It may be nil where no path is "-".
	Stdin io.Reader
	// Workers is how many objects are parsed at the same time. Default 2.
	Workers int
	Limits  Limits
}

// Open reads the files, directories and archives at the paths ("-" is standard input) and indexes what is in them.
//
// Errors are *InputError where a file is broken or a limit was hit (ErrLimit is in the chain then), those of package os where a
// path cannot be read, and ErrNothing where there is nothing to look at. After an error nothing of the dump is used: a part of
// a dump looks like a healthier cluster than there was.
func Open(ctx context.Context, paths []string, o Options) (*Backend, error) {
	if len(paths) == 0 {
		return nil, errors.New("no path was given")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := newLoader(ctx, cancel, o)
	err := l.openAll(paths)
	if cerr := l.finish(); cerr != nil {
		err = cerr
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range l.texts {
		if f.found == 0 {
			l.skip(f.name, "no objects that are looked at here")
		}
	}
	return l.index.backend(strings.Join(paths, " "), l.skipped, o)
}

// file names one text that objects were read from.
type file struct {
	name    string // for people: the path, or archive:member
	dir     string // what counts as its folder, for coverage
	base    string // its name in that folder
	path    string // where it can be read again, "" where it cannot
	size    int64
	changed time.Time
	lines   bool // places are lines and not bytes
	stray   bool // may be something else that only looks like JSON or YAML
	found   int  // objects and Lists in it that a snapshot can hold
}

func (f *file) errorAt(place int64, err error) error {
	if e := (*InputError)(nil); errors.As(err, &e) {
		return err
	}
	if f.lines {
		return &InputError{Path: f.name, Offset: -1, Line: place, Err: err}
	}
	return &InputError{Path: f.name, Offset: place, Err: err}
}

// Skipped says what was passed over.
type Skipped struct {
	Files   int      // that hold no Kubernetes objects, or are no ordinary files
	Objects int      // of kinds or versions that a snapshot cannot hold
	Names   []string // of the first hundred such files, each with the reason
	Kinds   []string // the first hundred such kinds, with their apiVersion, in order
}

const skippedNames = 100

func (l *loader) skip(name, why string) {
	l.skipped.Files++
	if len(l.skipped.Names) < skippedNames {
		l.skipped.Names = append(l.skipped.Names, name+": "+why)
	}
}

func (l *loader) openAll(paths []string) error {
	for _, p := range paths {
		if err := l.openPath(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) openPath(path string) error {
	if path == "-" {
		if l.options.Stdin == nil {
			return errors.New("standard input is not available")
		}
		return l.stream(l.options.Stdin, &file{name: "standard input", dir: "-", base: "-"}, true, 0)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return l.openDir(path)
	default:
		return l.openFile(path, info, true)
	}
}

func (l *loader) openDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	entries, err := f.ReadDir(l.limits.Files - l.files + 1)
	f.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return &InputError{Path: dir, Offset: -1, Err: err}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if err := l.countFile(dir); err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			err = l.openDir(path)
		case e.Type().IsRegular():
			var info fs.FileInfo
			if info, err = e.Info(); err == nil {
				err = l.openFile(path, info, false)
			}
		default:
			l.skip(path, "not an ordinary file")
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) countFile(where string) error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	if l.files++; l.files > l.limits.Files {
		return &InputError{Path: where, Offset: -1, Err: fmt.Errorf("more than %d files (Files); name the folder or the files that hold the dump: %w", l.limits.Files, ErrLimit)}
	}
	return nil
}

func (l *loader) openFile(path string, info fs.FileInfo, explicit bool) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	f := &file{name: path, dir: filepath.ToSlash(filepath.Dir(path)), base: filepath.Base(path)}
	if info.Mode().IsRegular() {
		f.path, f.size, f.changed = path, info.Size(), info.ModTime()
	}
	return l.stream(in, f, explicit, 0)
}

// resource returns the kind that a file is named after: pods.json, persistentvolumeclaims.yaml, deployments.apps.json, pvc.json.
func (t *kindTable) resource(base string) kindID {
	name, _, _ := strings.Cut(strings.ToLower(base), ".")
	if id, ok := t.short[name]; ok {
		return id
	}
	return unknownKind
}

// shortNames are the abbreviations that kubectl accepts.
func shortNames() map[string]snapshot.Kind {
	return map[string]snapshot.Kind{
		"po": snapshot.Pod, "no": snapshot.Node, "ns": snapshot.Namespace, "ev": snapshot.Event, "rs": snapshot.ReplicaSet,
		"deploy": snapshot.Deployment, "sts": snapshot.StatefulSet, "ds": snapshot.DaemonSet, "pvc": snapshot.PersistentVolumeClaim,
		"pv": snapshot.PersistentVolume, "sc": snapshot.StorageClass, "cm": snapshot.ConfigMap, "svc": snapshot.Service,
		"pdb": snapshot.PodDisruptionBudget, "quota": snapshot.ResourceQuota, "crd": snapshot.CustomResourceDefinition, "crds": snapshot.CustomResourceDefinition,
	}
}
