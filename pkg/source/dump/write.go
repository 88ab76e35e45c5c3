package dump

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// WriteOptions say how a dump is written.
type WriteOptions struct {
	// Redact replaces names, addresses, and values that may be secret: see redactor.
	Redact bool
	// Keep are texts whose words Redact leaves as they are, beyond those of Kubernetes' own messages: what causes look for.
	Keep []string
	// Force replaces a file, or a directory that is a dump of ours. Any other directory that is not empty is never replaced.
	Force bool
	// Stdout is what the path "-" writes to. It may be nil where the path is not "-".
	Stdout io.Writer
}

// Write saves a snapshot so that Open and Backend.Load give it back: as a directory; as an archive where the path ends in .tar.gz
// or .tgz; or as such an archive on standard output where it is "-". A directory and an archive hold one List for each kind, as
// kubectl get -o json prints it, and a file with what the snapshot knows beside its objects.
//
// What is written appears under its name only when it is whole. Files can be read by their owner alone. The error is ErrExists where
// something is in the way.
func Write(ctx context.Context, path string, s *snapshot.Snapshot, o WriteOptions) error {
	var out sink
	var err error
	switch {
	case path == "-":
		if o.Stdout == nil {
			return errors.New("standard output is not available")
		}
		out = newArchiveSink(o.Stdout, s.Now())
	case strings.HasSuffix(path, ".tar.gz"), strings.HasSuffix(path, ".tgz"):
		out, err = newFileSink(path, s.Now(), o.Force)
	case slices.Contains([]string{".tar", ".gz", ".zip", ".json", ".yaml", ".yml"}, filepath.Ext(path)):
		return fmt.Errorf("a dump is a directory or a file that ends in .tar.gz; %s is neither", path)
	default:
		out, err = newDirSink(path, o.Force)
	}
	if err != nil {
		return fmt.Errorf("writing a dump: %w", err)
	}
	if err := writeAll(ctx, out, s, o); err != nil {
		out.abort()
		return fmt.Errorf("writing a dump to %s: %w", path, err)
	}
	if err := out.commit(); err != nil {
		out.abort()
		return fmt.Errorf("writing a dump to %s: %w", path, err)
	}
	return nil
}

func writeAll(ctx context.Context, out sink, s *snapshot.Snapshot, o WriteOptions) error {
	var r *redactor
	if o.Redact {
		var err error
		if r, err = newRedactor(s, o.Keep); err != nil {
			return err
		}
	}
	m := metadata{
		APIVersion: metaAPI, Kind: metaKind, FormatVersion: metaVersion,
		TakenAt: s.Now().UTC(), Origin: s.Origin(), Redacted: o.Redact, Census: s.Census(), Gaps: s.Gaps(), Coverage: s.Coverage(),
	}
	if r != nil {
		r.metadata(&m)
	}
	err := out.file(metaFile, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "    ")
		return e.Encode(m)
	})
	if err != nil {
		return err
	}
	for _, info := range snapshot.Kinds() {
		objects := objectsOf(s, info)
		if _, complete := m.Coverage.Complete[info.Kind]; len(objects) == 0 && !complete {
			continue
		}
		err := out.file(info.GVR.Resource+".json", func(w io.Writer) error { return writeList(ctx, w, objects, info, r) })
		if err != nil {
			return fmt.Errorf("%s: %w", info.GVR.Resource, err)
		}
	}
	return nil
}

func objectsOf(s *snapshot.Snapshot, info snapshot.Info) []runtime.Object {
	if info.Kind != snapshot.Event {
		return s.Objects(info.Kind)
	}
	events := s.AllEvents()
	out := make([]runtime.Object, len(events))
	for i := range events {
		out[i] = eventOf(&events[i])
	}
	return out
}

// eventOf makes a core/v1 Event that reads back as the same record. metav1.Time has seconds only, so that what is more precise goes
// into the newer fields.
func eventOf(r *snapshot.EventRecord) *corev1.Event {
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name},
		InvolvedObject: corev1.ObjectReference{Kind: string(r.Regarding.Kind), Namespace: r.Regarding.Namespace, Name: r.Regarding.Name, UID: r.Regarding.UID},
		Type:           r.Type, Reason: r.Reason, Message: r.Message, Count: r.Count,
		Source: corev1.EventSource{Component: r.Component, Host: r.Host},
	}
	if wholeSecond(r.First) {
		e.FirstTimestamp = metav1.Time{Time: r.First}
	} else {
		e.EventTime = metav1.MicroTime{Time: r.First}
	}
	switch {
	case r.Last.Equal(r.First):
	case wholeSecond(r.Last):
		e.LastTimestamp = metav1.Time{Time: r.Last}
	default:
		e.Series = &corev1.EventSeries{Count: r.Count, LastObservedTime: metav1.MicroTime{Time: r.Last}}
	}
	if r.Last.Equal(r.First) && wholeSecond(r.Last) {
		e.LastTimestamp = metav1.Time{Time: r.Last}
	}
	return e
}

func wholeSecond(t time.Time) bool { return t.Nanosecond() == 0 }

func writeList(ctx context.Context, w io.Writer, objects []runtime.Object, info snapshot.Info, r *redactor) error {
	const indent = "    "
	b := bufio.NewWriterSize(w, 64<<10) // keeps its first error for Flush
	fmt.Fprint(b, "{\n"+indent+`"apiVersion": "v1",`+"\n"+indent+`"items": [`)
	var pretty bytes.Buffer
	for i, o := range objects {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		data, err := encode(o, info, r)
		if err != nil {
			return err
		}
		comma := ","
		if i == 0 {
			comma = ""
		}
		pretty.Reset()
		if err := json.Indent(&pretty, data, indent+indent, indent); err != nil {
			return err
		}
		fmt.Fprint(b, comma+"\n"+indent+indent)
		if _, err := b.Write(pretty.Bytes()); err != nil {
			return err
		}
	}
	if len(objects) > 0 {
		fmt.Fprint(b, "\n"+indent)
	}
	fmt.Fprint(b, "],\n"+indent+`"kind": "List",`+"\n"+indent+`"metadata": {`+"\n"+indent+indent+`"resourceVersion": ""`+"\n"+indent+"}\n}\n")
	return b.Flush()
}

// encode makes the JSON of one object, with its kind. Of kinds that are held as metadata only that is written, whatever the object is.
func encode(o runtime.Object, info snapshot.Info, r *redactor) ([]byte, error) {
	o = o.DeepCopyObject()
	if info.MetadataOnly {
		m, ok := o.(metav1.Object)
		if !ok {
			return nil, fmt.Errorf("%T has no metadata", o)
		}
		o = partial(m)
	}
	o.GetObjectKind().SetGroupVersionKind(info.GVK())
	data, err := json.Marshal(o)
	if err != nil || r == nil {
		return data, err
	}
	return r.object(data, info)
}

// partial returns the metadata of an object, without the annotation that repeats all of it.
func partial(m metav1.Object) *metav1.PartialObjectMetadata {
	if p, ok := m.(*metav1.PartialObjectMetadata); ok {
		delete(p.Annotations, corev1.LastAppliedConfigAnnotation)
		return p
	}
	p := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: m.GetName(), Namespace: m.GetNamespace(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion(),
		CreationTimestamp: m.GetCreationTimestamp(), DeletionTimestamp: m.GetDeletionTimestamp(), Labels: m.GetLabels(),
		Annotations: m.GetAnnotations(), Finalizers: m.GetFinalizers(), OwnerReferences: m.GetOwnerReferences(),
	}}
	delete(p.Annotations, corev1.LastAppliedConfigAnnotation)
	return p
}

// sink is where a dump goes.
type sink interface {
	// file writes one file. write may be called twice, and must write the same both times.
	file(name string, write func(io.Writer) error) error
	commit() error
	abort()
}

// dirSink writes a directory, under another name until it is whole.
type dirSink struct {
	path, tmp, old string
	replace        bool
}

func newDirSink(path string, force bool) (*dirSink, error) {
	d := &dirSink{path: filepath.Clean(path)}
	info, err := os.Lstat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s: %w, and is no directory; choose another name, or one that ends in .tar.gz", path, ErrExists)
	default:
		d.replace = true
		empty, ours, err := lookInto(d.path)
		switch {
		case err != nil:
			return nil, err
		case empty || ours && force:
		case ours:
			return nil, fmt.Errorf("%s: a dump %w; use --force to replace it", path, ErrExists)
		default:
			return nil, fmt.Errorf("%s: a directory with other things in it %w; choose another name", path, ErrExists)
		}
	}
	d.tmp, err = os.MkdirTemp(filepath.Dir(d.path), "."+filepath.Base(d.path)+".tmp-")
	return d, err
}

func lookInto(dir string) (empty, ours bool, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, false, err
	}
	defer f.Close()
	if _, err = f.Readdirnames(1); errors.Is(err, io.EOF) {
		return true, false, nil
	} else if err != nil {
		return false, false, err
	}
	_, err = os.Lstat(filepath.Join(dir, metaFile))
	return false, err == nil, nil
}

func (d *dirSink) file(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(d.tmp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (d *dirSink) commit() error {
	if err := syncDir(d.tmp); err != nil {
		return err
	}
	if d.replace {
		old, err := os.MkdirTemp(filepath.Dir(d.path), "."+filepath.Base(d.path)+".old-")
		if err != nil {
			return err
		}
		if err := os.Rename(d.path, filepath.Join(old, "dump")); err != nil {
			return errors.Join(err, os.Remove(old))
		}
		d.old = old
	}
	if err := os.Rename(d.tmp, d.path); err != nil {
		if d.old != "" {
			err = errors.Join(err, os.Rename(filepath.Join(d.old, "dump"), d.path), os.Remove(d.old))
		}
		return err
	}
	if err := syncDir(filepath.Dir(d.path)); err != nil {
		return err
	}
	if d.old != "" {
		return os.RemoveAll(d.old)
	}
	return nil
}

func (d *dirSink) abort() { _ = os.RemoveAll(d.tmp) } // after an error that counts more

// syncDir makes the names in a directory last. Not every system can.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// archiveSink writes a .tar.gz.
type archiveSink struct {
	zip *gzip.Writer
	tar *tar.Writer
	now time.Time
}

func newArchiveSink(w io.Writer, now time.Time) *archiveSink {
	z := gzip.NewWriter(w)
	return &archiveSink{zip: z, tar: tar.NewWriter(z), now: now}
}

// archiveBuffer is how much of a file is held to learn its size, which stands before it in an archive. A longer one is made twice.
const archiveBuffer = 32 << 20

func (a *archiveSink) file(name string, write func(io.Writer) error) error {
	probe := &limitedBuffer{max: archiveBuffer}
	if err := write(probe); err != nil {
		return err
	}
	err := a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: "kubectl-stuck-dump/" + name, Mode: 0o600, Size: probe.size, ModTime: a.now.Truncate(time.Second),
	})
	if err != nil {
		return err
	}
	if probe.size <= archiveBuffer {
		_, err = a.tar.Write(probe.buf.Bytes())
		return err
	}
	return write(a.tar)
}

func (a *archiveSink) commit() error { return errors.Join(a.tar.Close(), a.zip.Close()) }

func (a *archiveSink) abort() {}

// limitedBuffer keeps what is written as long as it is short, and counts it in any case.
type limitedBuffer struct {
	buf  bytes.Buffer
	size int64
	max  int64
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.size += int64(len(p))
	if b.size > b.max {
		b.buf = bytes.Buffer{}
		return len(p), nil
	}
	return b.buf.Write(p)
}

// fileSink writes a .tar.gz file, under another name until it is whole.
type fileSink struct {
	*archiveSink
	path  string
	force bool
	f     *os.File
}

func newFileSink(path string, now time.Time, force bool) (*fileSink, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w, and is no ordinary file", path, ErrExists)
	case !force:
		return nil, fmt.Errorf("%s: %w; use --force to replace it", path, ErrExists)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-")
	if err != nil {
		return nil, err
	}
	return &fileSink{archiveSink: newArchiveSink(f, now), path: path, force: force, f: f}, nil
}

func (s *fileSink) commit() error {
	if err := errors.Join(s.archiveSink.commit(), s.f.Sync(), s.f.Close()); err != nil {
		return err
	}
	// A name that came up in the meantime is replaced only if the caller wants that.
	if !s.force {
		if err := os.Link(s.f.Name(), s.path); err == nil {
			return errors.Join(os.Remove(s.f.Name()), syncDir(filepath.Dir(s.path)))
		} else if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", s.path, ErrExists)
		}
	}
	if err := os.Rename(s.f.Name(), s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func (s *fileSink) abort() {
	_ = s.f.Close() // after an error that counts more
	_ = os.Remove(s.f.Name())
}
