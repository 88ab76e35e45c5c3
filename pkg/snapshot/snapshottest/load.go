package snapshottest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Fixture is a YAML file of objects with a header of comments:
//
//	# now: 2026-03-01T10:00:00Z    (required) when the picture was taken
//	# want: shop/cart-1            pods that must be blamed on the cause under test, several lines or words
//	# want-node: worker-3          nodes that must be
//	# spare: shop/cart-2           stuck pods that must not be
//	# want-object, spare-object    the same for what is no pod: Deployment/shop/cart, Namespace/shop
//	# well-object                  what is no pod, and must not even be stuck
//	# unread: PersistentVolume     kinds that could not be read; every other kind counts as read in full
type Fixture struct {
	Path     string
	Snapshot *snapshot.Snapshot
	Header   map[string][]string
}

// Load reads a fixture.
func Load(t testing.TB, path string) Fixture {
	t.Helper()
	raw, err := os.ReadFile(path) //nolint:gosec // a test names its own fixture
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(path, raw)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f
}

func parse(path string, raw []byte) (Fixture, error) {
	f := Fixture{Path: path, Header: header(raw)}
	if len(f.Header["now"]) != 1 {
		return f, fmt.Errorf("the header needs one line `# now: <RFC 3339 time>`")
	}
	now, err := time.Parse(time.RFC3339, f.Header["now"][0])
	if err != nil {
		return f, err
	}
	b := snapshot.NewBuilder()
	unread := map[string]bool{}
	for _, k := range f.Header["unread"] {
		if _, ok := snapshot.InfoOf(snapshot.Kind(k)); !ok {
			return f, fmt.Errorf("unread: %q is no kind that a snapshot holds", k)
		}
		unread[k] = true
		b.AddGap(snapshot.Gap{Kind: snapshot.Kind(k), Reason: "Forbidden", Detail: "left out of the fixture"})
	}
	var census snapshot.Census
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return f, err
		}
		obj, err := decode(doc)
		if err != nil {
			return f, err
		}
		if obj == nil {
			continue
		}
		if k := obj.GetObjectKind().GroupVersionKind().Kind; unread[k] {
			return f, fmt.Errorf("the fixture holds a %s and says that none was read", k)
		}
		if !b.Add(obj) {
			return f, fmt.Errorf("a snapshot does not hold %T", obj)
		}
		if p, ok := obj.(*corev1.Pod); ok {
			st := snapshot.StatusOf(p)
			census.Add(p.Spec.NodeName, st.Word, st.Ready, st.Containers)
		}
	}
	b.SetCensus(census)
	for _, i := range snapshot.Kinds() {
		if !unread[string(i.Kind)] {
			b.SetComplete(i.Kind, "")
		}
	}
	f.Snapshot, err = b.Build(now)
	return f, err
}

func header(raw []byte) map[string][]string {
	h := map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		rest, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		if k, v, ok := strings.Cut(rest, ":"); ok {
			h[k] = append(h[k], strings.Fields(v)...)
		}
	}
	return h
}

func decode(doc []byte) (runtime.Object, error) {
	var t metav1.TypeMeta
	if err := yaml.Unmarshal(doc, &t); err != nil {
		return nil, err
	}
	if t.Kind == "" {
		if len(bytes.TrimSpace(withoutComments(doc))) > 0 {
			return nil, fmt.Errorf("a document has no kind")
		}
		return nil, nil
	}
	obj := snapshot.New(snapshot.Kind(t.Kind))
	if t.Kind == "Event" && t.APIVersion == "events.k8s.io/v1" {
		obj = &eventsv1.Event{}
	}
	if obj == nil {
		return nil, fmt.Errorf("a snapshot holds no %s", t.Kind)
	}
	if _, metadataOnly := obj.(*metav1.PartialObjectMetadata); metadataOnly {
		return obj, yaml.Unmarshal(doc, obj)
	}
	return obj, yaml.UnmarshalStrict(doc, obj)
}

func withoutComments(doc []byte) []byte {
	var out []byte
	for line := range bytes.Lines(doc) {
		if !bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte("---")) {
			out = append(out, line...)
		}
	}
	return out
}
