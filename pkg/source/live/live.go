package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// What is asked for in the Accept header, best first. The API server takes the first that it can make.
const (
	acceptTable  = "application/json;as=Table;v=v1;g=meta.k8s.io"
	acceptObject = "application/vnd.kubernetes.protobuf,application/json"
	// Without a last resort of plain objects: for a Secret those would carry its data.
	acceptMetadata     = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptMetadataList = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// chunk is how many objects one request for a list asks for where the list does not come from the watch
// cache; kubectl's --chunk-size is 500 too.
const chunk = 500

// Options are what a Backend needs beside the connection.
type Options struct {
	// Context is the name of the kubeconfig context, for the snapshot's origin.
	Context string
	// Fresh asks the API server for lists as they are now, and not as its watch cache may have them. It costs more; what is about to be changed is worth it.
	// The census stays a hint.
	Fresh bool
	// Now is asked for the time only where the server's answers carry no Date header. Required.
	Now func() time.Time
}

// Backend reads one API server. It is safe for concurrent use.
type Backend struct {
	client  *rest.RESTClient
	server  string
	context string
	guard   *guard
	date    atomic.Int64
	now     func() time.Time
	fresh   bool
}

var _ source.Backend = (*Backend)(nil)

// New makes a Backend from a connection. It sends nothing yet: see Open. Timeout (--request-timeout),
// Impersonate, proxies and credentials of the configuration hold; its rate limits do not, because the plan
// bounds the number of requests and the server's own priority and fairness bounds the rest.
func New(cfg *rest.Config, opts Options) (*Backend, error) {
	if opts.Now == nil {
		return nil, errors.New("live: no clock was given")
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("address of the API server: %w", err)
	}
	b := &Backend{server: cfg.Host, context: opts.Context, now: opts.Now, fresh: opts.Fresh}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.RateLimiter = nil
	cfg.NegotiatedSerializer = statusCodecs().WithoutConversion()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		b.guard = newGuard(next, base.Path, &b.date)
		return b.guard
	})
	b.client, err = rest.UnversionedRESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", cfg.Host, err)
	}
	if b.guard == nil {
		return nil, errors.New("live: the transport took no guard")
	}
	return b, nil
}

// statusCodecs decodes what client-go decodes itself: the Status of an error. Objects are decoded here.
func statusCodecs() serializer.CodecFactory {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	s.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	return serializer.NewCodecFactory(s)
}

// Open asks the server for its version. The time is that of the answer's Date header, so a wrong clock on
// this machine changes nothing.
func (b *Backend) Open(ctx context.Context) (snapshot.Origin, time.Time, error) {
	origin := snapshot.Origin{Context: b.context, Server: b.server, Clock: "API server"}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	body, err := b.client.Get().AbsPath("/version").Stream(ctx)
	switch {
	case err == nil:
		err = json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&version)
		_ = body.Close()
		if err != nil {
			return origin, time.Time{}, fmt.Errorf("%s does not answer as an API server: %w", b.server, err)
		}
		origin.Version = version.GitVersion
	case apierrors.IsForbidden(err): // some providers close /version; the API itself may be open
	default:
		return origin, time.Time{}, fmt.Errorf("cannot reach the API server: %w", err)
	}
	now, ok := b.guard.now()
	if !ok {
		now, origin.Clock = b.now(), "this machine"
	}
	return origin, now, nil
}

// Census asks for a Table of pods without objects, from the watch cache. Where the server makes no such
// Table, it counts full objects.
func (b *Backend) Census(ctx context.Context, namespace, labelSelector, fieldSelector string, row func(*source.Row)) error {
	rows := 0
	counted := func(r *source.Row) { rows++; row(r) }
	q := source.ListRequest{Kind: snapshot.Pod, Namespace: namespace, LabelSelector: labelSelector, FieldSelector: fieldSelector}
	err := b.table(ctx, q, counted)
	if rows == 0 && (errors.Is(err, errNoTable) || notAcceptable(err)) {
		return b.List(ctx, q, func(o runtime.Object) {
			r, ok := source.RowOf(o)
			if ok {
				row(&r)
			}
		})
	}
	return err
}

func (b *Backend) table(ctx context.Context, q source.ListRequest, row func(*source.Row)) error {
	return b.rows(ctx, q, func(in io.Reader) error { return decodeTable(in, row) })
}

// rows asks for a Table without objects, from the watch cache.
func (b *Backend) rows(ctx context.Context, q source.ListRequest, decode func(io.Reader) error) error {
	info, _ := snapshot.InfoOf(q.Kind)
	req := b.request(info, q.Namespace, "").SetHeader("Accept", acceptTable).
		Param("includeObject", string(metav1.IncludeNone)).Param("resourceVersion", "0")
	body, err := selectors(req, q).Stream(ctx)
	if err != nil {
		return listError(q, err)
	}
	defer func() { _ = body.Close() }()
	if err := decode(body); err != nil {
		return listError(q, err)
	}
	return nil
}

// Counts asks for a Table of workloads without objects, as Census does.
func (b *Backend) Counts(ctx context.Context, q source.ListRequest, row func(*source.Tally)) error {
	rows := 0
	err := b.rows(ctx, q, func(in io.Reader) error {
		return decodeTallies(in, func(t *source.Tally) { rows++; row(t) })
	})
	if rows == 0 && (errors.Is(err, errNoTable) || notAcceptable(err)) {
		return b.List(ctx, q, func(o runtime.Object) {
			if t, ok := source.TallyOf(o); ok {
				row(&t)
			}
		})
	}
	return err
}

// List asks for objects in protobuf and decodes them as they arrive, without the managedFields of objects that have no
// finalizers. Events, which the watch cache does not
// hold, come in chunks; everything else in one list from the watch cache.
func (b *Backend) List(ctx context.Context, q source.ListRequest, each func(runtime.Object)) error {
	info, ok := snapshot.InfoOf(q.Kind)
	if !ok {
		return fmt.Errorf("list %s: %w", q.Kind, source.ErrNotServed)
	}
	metadata := q.MetadataOnly || info.MetadataOnly
	newItem := func() runtime.Object { return snapshot.New(q.Kind) }
	accept := acceptObject
	if metadata {
		newItem = func() runtime.Object { return &metav1.PartialObjectMetadata{} }
		accept = acceptMetadataList
	}
	cached := q.Kind != snapshot.Event
	seen, next, full := 0, "", false
	for {
		req := selectors(b.request(info, q.Namespace, "").SetHeader("Accept", accept), q)
		switch {
		case cached && b.fresh: // without a limit, so that newer servers can answer from a cache that they know to be up to date
		case cached:
			req.Param("resourceVersion", "0")
		default:
			req.Param("limit", strconv.Itoa(page(q.Limit, seen)))
		}
		if next != "" {
			req.Param("continue", next)
		}
		body, err := req.Stream(ctx)
		if err != nil {
			return listError(q, err)
		}
		next, err = decodeList(body, newItem, func(o runtime.Object) error {
			if q.Limit > 0 && seen == q.Limit {
				full = true
				return source.ErrTruncated
			}
			seen++
			restoreKind(o, info)
			each(o)
			return nil
		})
		_ = body.Close() // ends the answer where it was cut
		switch {
		case full:
			return source.ErrTruncated
		case err != nil:
			return listError(q, err)
		case next == "":
			return nil
		case q.Limit > 0 && seen >= q.Limit:
			return source.ErrTruncated
		}
		cached = false // the server cut the list by itself: go on as it wants
	}
}

// page is how many objects to ask for next.
func page(limit, seen int) int {
	if limit > 0 {
		return max(1, min(chunk, limit-seen))
	}
	return chunk
}

// Get reads one object, from the store and not from a cache.
func (b *Backend) Get(ctx context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error) {
	ref := snapshot.Ref{Kind: k, Namespace: namespace, Name: name}
	info, ok := snapshot.InfoOf(k)
	if !ok {
		return nil, fmt.Errorf("get %s: %w", ref, source.ErrNotServed)
	}
	obj, accept := snapshot.New(k), acceptObject
	for _, segment := range []string{namespace, name} {
		if bad := rest.IsValidPathSegmentName(segment); len(bad) > 0 || name == "" {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("get %s: not a name that an object can have: %q", k, segment))
		}
	}
	if info.MetadataOnly {
		obj, accept = &metav1.PartialObjectMetadata{}, acceptMetadata
	}
	body, err := b.request(info, namespace, name).SetHeader("Accept", accept).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, served(err))
	}
	defer func() { _ = body.Close() }()
	if err := decodeOne(body, obj); err != nil {
		return nil, fmt.Errorf("get %s: %w", ref, err)
	}
	restoreKind(obj, info)
	return obj, nil
}

func (b *Backend) request(info snapshot.Info, namespace, name string) *rest.Request {
	path := []string{"/apis", info.GVR.Group, info.GVR.Version}
	if info.GVR.Group == "" {
		path = []string{"/api", info.GVR.Version}
	}
	if info.Namespaced && namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	path = append(path, info.GVR.Resource)
	if name != "" {
		path = append(path, name)
	}
	return b.client.Get().AbsPath(path...)
}

func selectors(r *rest.Request, q source.ListRequest) *rest.Request {
	if q.LabelSelector != "" {
		r.Param("labelSelector", q.LabelSelector)
	}
	if q.FieldSelector != "" {
		r.Param("fieldSelector", q.FieldSelector)
	}
	return r
}

// restoreKind names a metadata-only object, which as an item of a list does not say what it is of.
func restoreKind(o runtime.Object, info snapshot.Info) {
	if p, ok := o.(*metav1.PartialObjectMetadata); ok {
		p.SetGroupVersionKind(info.GVK())
	}
}

func listError(q source.ListRequest, err error) error {
	in := "in all namespaces"
	if info, _ := snapshot.InfoOf(q.Kind); !info.Namespaced {
		in = ""
	} else if q.Namespace != "" {
		in = "in namespace " + q.Namespace
	}
	what := fmt.Sprintf("list %s", q.Kind)
	if in != "" {
		what += " " + in
	}
	if q.FieldSelector != "" {
		what += " where " + q.FieldSelector
	}
	return fmt.Errorf("%s: %w", what, served(err))
}

// served tells a kind that the server does not serve from an object that does not exist: the first is
// answered by the server's mux, in plain text, and client-go marks that with a cause.
func served(err error) error {
	if apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return fmt.Errorf("%w (%w)", source.ErrNotServed, err)
	}
	return err
}

func notAcceptable(err error) bool {
	return apierrors.IsNotAcceptable(err) || apierrors.IsUnsupportedMediaType(err)
}
