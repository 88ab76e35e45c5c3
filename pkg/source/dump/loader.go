package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// loader reads inputs in three steps that run at the same time: the producer (the caller of Open) finds where objects begin and
// end, workers read their facts and compress what must be kept, and the collector puts the results into the index in the order of the
// input, so that the same files give the same index.
type loader struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	options Options
	limits  Limits
	index   *index

	files   int   // looked at
	total   int64 // bytes read
	skipped Skipped

	file  *file // being read
	cur   *batch
	texts []*file

	work, order chan *batch
	pool        sync.Pool
	workers     sync.WaitGroup
	collected   chan error
}

// batch is a run of objects of one file.
type batch struct {
	file  *file
	buf   []byte
	marks []mark
	done  chan struct{}

	results []result
	packed  []byte // the objects' text, compressed; nil where the file can be read again
	size    int    // of the text before
	err     error
}

type markType uint8

const (
	markObject markType = iota
	markChunk           // YAML
	markStart
	markEnd
)

type mark struct {
	typ              markType
	start, end       int
	place            int64
	kind, apiVersion string
}

type result struct {
	typ              markType
	kind, apiVersion string // of the list
	entry            entry
	meta             []byte // of a dump of ours
}

func newLoader(ctx context.Context, cancel context.CancelCauseFunc, o Options) *loader {
	workers := o.Workers
	if workers <= 0 {
		workers = 2
	}
	l := &loader{
		ctx: ctx, cancel: cancel, options: o, limits: o.Limits.withDefaults(),
		work: make(chan *batch, workers), order: make(chan *batch, 2*workers), collected: make(chan error, 1),
	}
	l.pool.New = func() any { return &batch{} }
	l.index = newIndex(l.limits)
	for range workers {
		l.workers.Go(l.worker)
	}
	go func() { l.collected <- l.collect() }()
	return l
}

// finish waits for what was sent, and returns the first error in the order of the input.
func (l *loader) finish() error {
	close(l.work)
	close(l.order)
	l.workers.Wait()
	return <-l.collected
}

func (l *loader) begin(f *file, explicit bool) {
	f.stray = !explicit && !strings.HasSuffix(f.base, ".json") && !strings.HasSuffix(f.base, ".yaml") && !strings.HasSuffix(f.base, ".yml")
	l.file = f
	l.cur = nil
	l.texts = append(l.texts, f)
}

func (l *loader) batch() *batch {
	if l.cur == nil {
		b, _ := l.pool.Get().(*batch)
		*b = batch{file: l.file, buf: b.buf[:0], marks: b.marks[:0], results: b.results[:0], done: make(chan struct{})}
		l.cur = b
	}
	return l.cur
}

func (l *loader) object(data []byte, at int64) error { return l.put(markObject, data, at) }

func (l *loader) put(typ markType, data []byte, at int64) error {
	b := l.batch()
	start := len(b.buf)
	b.buf = append(b.buf, data...)
	b.marks = append(b.marks, mark{typ: typ, start: start, end: len(b.buf), place: at})
	if len(b.buf) >= blockBytes || len(b.marks) >= 4096 {
		return l.flush()
	}
	return nil
}

func (l *loader) listStart(kind, apiVersion string) error {
	b := l.batch()
	b.marks = append(b.marks, mark{typ: markStart, kind: kind, apiVersion: apiVersion})
	return nil
}

func (l *loader) listEnd(kind, apiVersion string) error {
	b := l.batch()
	b.marks = append(b.marks, mark{typ: markEnd, kind: kind, apiVersion: apiVersion})
	return nil
}

// drop forgets what was not sent yet.
func (l *loader) drop() { l.cur = nil }

func (l *loader) flush() error {
	b := l.cur
	l.cur = nil
	if b == nil || len(b.marks) == 0 {
		return context.Cause(l.ctx)
	}
	for _, c := range []chan *batch{l.order, l.work} {
		select {
		case c <- b:
		case <-l.ctx.Done():
			close(b.done) // the collector may have it already
			return context.Cause(l.ctx)
		}
	}
	return nil
}

func (l *loader) worker() {
	w := &parser{
		x:    newExtractor(l.index.kinds, l.limits.Depth, l.options.NotAfter),
		keep: l.limits,
	}
	for b := range l.work {
		if l.ctx.Err() == nil {
			w.parse(b)
		}
		close(b.done)
	}
}

// collect fills the index. After an error it only lets the producer and the workers end.
func (l *loader) collect() error {
	var first error
	for b := range l.order {
		select {
		case <-b.done:
		case <-l.ctx.Done():
			if first == nil {
				continue
			}
		}
		if first != nil || l.ctx.Err() != nil {
			continue
		}
		err := b.err
		if err == nil {
			err = l.index.add(b)
		}
		if err != nil {
			first = err
			l.cancel(err)
			continue
		}
		l.pool.Put(b)
	}
	return first
}

// parser reads the facts of the objects of a batch. It belongs to one goroutine.
type parser struct {
	x     *extractor
	keep  Limits
	zip   packer
	text  []byte // what of the batch must be kept
	batch *batch
	place int64
}

func (p *parser) parse(b *batch) {
	p.batch = b
	p.text = p.text[:0]
	for _, m := range b.marks {
		var err error
		p.place = m.place
		data := b.buf[m.start:m.end]
		switch m.typ {
		case markObject:
			err = p.object(data, m.place)
		case markChunk:
			err = p.chunk(data)
		default:
			b.results = append(b.results, result{typ: m.typ, kind: m.kind, apiVersion: m.apiVersion})
		}
		if err != nil {
			b.err = err
			return
		}
	}
	if len(p.text) > 0 {
		b.size = len(p.text)
		b.packed, b.err = p.zip.pack(p.text)
	}
}

func (p *parser) object(data []byte, at int64) error {
	e, off, err := p.x.facts(data)
	b := p.batch
	if err != nil {
		if b.file.stray && e.rawVersion == "" && !errors.Is(err, ErrLimit) {
			return nil // some log line in braces
		}
		place := at
		if !b.file.lines {
			place += int64(off)
		}
		return b.file.errorAt(place, err)
	}
	r := result{typ: markObject, entry: e}
	if isMeta(&e) {
		r.meta = bytes.Clone(data)
	}
	id := unknownKind
	if e.rawKind != "" {
		id, _ = p.x.kinds.resolve(e.rawVersion, e.rawKind)
	}
	r.entry.at = location{file: b.file, offset: at, length: int32(len(data)), block: -1, place: at}
	if b.file.path == "" && (id != unknownKind || e.rawKind == "" && e.name != "") {
		r.entry.at.offset = int64(len(p.text))
		if e.rawKind == "" {
			data = dropFields(data, func(key string) bool { return key == "data" || key == "stringData" || key == "binaryData" })
		} else if p.x.kinds.infos[id].MetadataOnly {
			data = dropFields(data, func(key string) bool { return key != "kind" && key != "apiVersion" && key != "metadata" })
		}
		p.text = compact(p.text, data)
		r.entry.at.length = int32(len(p.text)) - int32(r.entry.at.offset)
	}
	if id != unknownKind {
		p.x.accept(e.newest)
	}
	b.results = append(b.results, r)
	return nil
}

// chunk reads a piece of YAML that holds one object, or a List in flow style.
func (p *parser) chunk(data []byte) error {
	j, line, err := yamlToJSON(data, p.keep)
	if err != nil {
		return p.batch.file.errorAt(p.place+line, err)
	}
	s := newJSONScanner(bytes.NewReader(j), p.keep)
	s.max = max(s.max, len(j)+1)
	if err := s.scan(p.nested()); err != nil {
		return p.batch.file.errorAt(p.place, fmt.Errorf("after conversion to JSON: %w", err))
	}
	return nil
}

// nested lets a scanner report to the parser's own batch.
func (p *parser) nested() docHandler { return (*nestedHandler)(p) }

type nestedHandler parser

func (n *nestedHandler) object(data []byte, _ int64) error {
	return (*parser)(n).object(data, n.place)
}

func (n *nestedHandler) listStart(kind, apiVersion string) error {
	n.batch.results = append(n.batch.results, result{typ: markStart, kind: kind, apiVersion: apiVersion})
	return nil
}

func (n *nestedHandler) listEnd(kind, apiVersion string) error {
	n.batch.results = append(n.batch.results, result{typ: markEnd, kind: kind, apiVersion: apiVersion})
	return nil
}

// dropFields returns the object without some of its top-level fields: what ConfigMaps and Secrets hold is not kept.
func dropFields(data []byte, drop func(key string) bool) []byte {
	c := cursor{b: data, max: 1 << 20}
	out := []byte{'{'}
	c.object(func(key []byte) {
		c.peek()
		start := c.i
		c.skip()
		if c.err != nil || drop(string(key)) {
			return
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendString(out, string(key))
		out = append(out, ':')
		out = append(out, data[start:c.i]...)
	})
	return append(out, '}')
}

var errConflict = errors.New("two dumps of kubectl stuck at once; name one of them")
