package dump_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
)

// obj is the JSON of a small object.
func obj(apiVersion, kind, namespace, name string, more ...string) string {
	ns := ""
	if namespace != "" {
		ns = fmt.Sprintf(`,"namespace":%q`, namespace)
	}
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q%s,"resourceVersion":"5","creationTimestamp":"2026-01-01T00:00:00Z"}%s}`,
		apiVersion, kind, name, ns, strings.Join(append([]string{""}, more...), ","))
}

func pod(namespace, name string) string { return obj("v1", "Pod", namespace, name) }

func open(t *testing.T, files map[string]string) *dump.Backend {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	b, err := dump.Open(context.Background(), []string{dir}, dump.Options{AsOf: sourcetest.Taken()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(t *testing.T, b *dump.Backend, k snapshot.Kind, namespace string) (out []string, err error) {
	t.Helper()
	err = b.List(context.Background(), source.ListRequest{Kind: k, Namespace: namespace}, func(o runtime.Object) {
		m := o.(metav1.Object)
		out = append(out, strings.TrimPrefix(m.GetNamespace()+"/"+m.GetName(), "/"))
	})
	return out, err
}

func TestWhatAListCovers(t *testing.T) {
	const (
		all     = "all namespaces"
		nothing = "nothing"
	)
	for name, c := range map[string]struct {
		files map[string]string
		kind  snapshot.Kind
		want  string // a namespace, or one of the above
	}{
		"items of two namespaces are of all":                     {map[string]string{"pods.json": list("List", pod("a", "x"), pod("b", "y"))}, snapshot.Pod, all},
		"items of one namespace may be of that one only":         {map[string]string{"pods.json": list("List", pod("a", "x"), pod("a", "y"))}, snapshot.Pod, "a"},
		"another List in the folder shows all were asked for":    {map[string]string{"pods.json": list("List", pod("a", "x")), "leases.json": list("List", obj("coordination.k8s.io/v1", "Lease", "a", "l"), obj("coordination.k8s.io/v1", "Lease", "b", "l"))}, snapshot.Pod, all},
		"another List in another folder does not":                {map[string]string{"x/pods.json": list("List", pod("a", "x")), "y/leases.json": list("List", obj("coordination.k8s.io/v1", "Lease", "a", "l"), obj("coordination.k8s.io/v1", "Lease", "b", "l"))}, snapshot.Pod, "a"},
		"an empty List of a file named after the kind":           {map[string]string{"persistentvolumeclaims.json": list("List"), "nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.PersistentVolumeClaim, all},
		"an empty List in a folder of one namespace":             {map[string]string{"pvc.json": list("List"), "pods.json": list("List", pod("a", "x"))}, snapshot.PersistentVolumeClaim, "a"},
		"an empty List that has its kind":                        {map[string]string{"whatever.json": `{"kind":"PersistentVolumeClaimList","apiVersion":"v1","items":[]}`, "nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.PersistentVolumeClaim, all},
		"an empty List as Go prints it":                          {map[string]string{"whatever.json": `{"kind":"PersistentVolumeClaimList","apiVersion":"v1","items":null}`, "nodes.yaml": string(toYAML(t, list("List", obj("v1", "Node", "", "n"))))}, snapshot.PersistentVolumeClaim, all},
		"an empty List in YAML":                                  {map[string]string{"whatever.yaml": "apiVersion: v1\nitems: []\nkind: PersistentVolumeClaimList\n", "nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.PersistentVolumeClaim, all},
		"an empty List of another version of the kind":           {map[string]string{"whatever.json": `{"kind":"DeploymentList","apiVersion":"apps/v1beta1","items":[]}`, "nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.Deployment, nothing},
		"an empty List that nobody can tell the kind of":         {map[string]string{"whatever.json": list("List"), "nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.PersistentVolumeClaim, nothing},
		"a cluster-scoped List":                                  {map[string]string{"nodes.json": list("List", obj("v1", "Node", "", "n"))}, snapshot.Node, all},
		"single objects":                                         {map[string]string{"pod.json": pod("a", "x")}, snapshot.Pod, nothing},
		"cluster-info dump has a folder for each namespace":      {map[string]string{"nodes.json": list("NodeList", obj("v1", "Node", "", "n")), "a/pods.json": list("PodList", pod("a", "x")), "b/pods.json": list("PodList")}, snapshot.Pod, "a"},
		"its empty ones too, where the namespace is known":       {map[string]string{"a/pods.json": list("PodList", pod("a", "x")), "b/pods.json": list("PodList"), "b/events.json": list("EventList", obj("v1", "Event", "b", "e"))}, snapshot.Pod, "b"},
		"must-gather has them two levels up":                     {map[string]string{"mg/namespaces/a/core/pods.yaml": string(toYAML(t, list("PodList", pod("a", "x")))), "mg/namespaces/b/core/pods.yaml": string(toYAML(t, list("PodList")))}, snapshot.Pod, "b"},
		"a cluster-scoped folder of must-gather is not a List":   {map[string]string{"mg/cluster-scoped-resources/core/nodes/n.yaml": string(toYAML(t, obj("v1", "Node", "", "n")))}, snapshot.Node, nothing},
		"one List of several kinds, one of them in two":          {map[string]string{"all.json": list("List", pod("a", "x"), obj("v1", "ConfigMap", "a", "c"), obj("v1", "ConfigMap", "b", "c"))}, snapshot.Pod, all},
		"a kind with items that is no List":                      {map[string]string{"x.json": `{"kind":"Basket","apiVersion":"example.com/v1","items":[` + pod("a", "x") + `]}`}, snapshot.Pod, nothing},
		"a List of a kind in a group of the same kind elsewhere": {map[string]string{"x.json": list("List", obj("example.com/v1", "Node", "", "n"), pod("a", "x"))}, snapshot.Node, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, c.files)
			covered := func(namespace string) bool {
				_, err := names(t, b, c.kind, namespace)
				_, gerr := b.Get(context.Background(), c.kind, namespace, "nobody")
				if apierrors.IsNotFound(gerr) != (err == nil) {
					t.Errorf("List says %v, Get says %v", err, gerr)
				}
				return err == nil
			}
			got := nothing
			switch {
			case covered(""):
				got = all
			case covered("a") && covered("b"):
				got = "a and b"
				if c.want == "a" || c.want == "b" {
					got = c.want
				}
			case covered("a"):
				got = "a"
			case covered("b"):
				got = "b"
			}
			if got != c.want {
				t.Errorf("it covers %s, want %s", got, c.want)
			}
		})
	}
}

func TestAKindThatIsNotInTheDumpIsSaidToBeMissing(t *testing.T) {
	b := open(t, map[string]string{"nodes.json": list("List", obj("v1", "Node", "", "n"))})
	if _, err := names(t, b, snapshot.Pod, ""); !errors.Is(err, source.ErrNotInDump) {
		t.Errorf("got %v, want ErrNotInDump", err)
	}
	if _, err := b.Get(context.Background(), snapshot.Pod, "a", "x"); !errors.Is(err, source.ErrNotInDump) {
		t.Errorf("got %v, want ErrNotInDump", err)
	}
}

func TestOfTwoOfTheSameNameTheNewestVersionCountsThenTheLaterFile(t *testing.T) {
	version := func(rv, node string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a","resourceVersion":%q},"spec":{"nodeName":%q}}`, rv, node)
	}
	for name, c := range map[string]struct{ first, second, want string }{
		"newer first":        {version("10", "first"), version("9", "second"), "first"},
		"newer second":       {version("9", "first"), version("10", "second"), "second"},
		"longer is newer":    {version("99999999999999999999", "first"), version("100000000000000000000", "second"), "second"},
		"the same":           {version("5", "first"), version("5", "second"), "second"},
		"none":               {version("", "first"), version("", "second"), "second"},
		"not a number":       {version("7", "first"), version("abc", "second"), "second"},
		"zeros do not count": {version("10", "first"), version("0009", "second"), "first"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, map[string]string{"1.json": c.first, "2.yaml": string(toYAML(t, c.second))})
			o, err := b.Get(context.Background(), snapshot.Pod, "a", "x")
			if err != nil {
				t.Fatal(err)
			}
			if got := o.(*corev1.Pod).Spec.NodeName; got != c.want {
				t.Errorf("the %s counts, want the %s", got, c.want)
			}
			if n, _ := names(t, b, snapshot.Pod, ""); len(n) != 1 {
				t.Errorf("%v", n)
			}
		})
	}
}

func TestTheTimeOfADump(t *testing.T) {
	lease := obj("coordination.k8s.io/v1", "Lease", "kube-node-lease", "n", `"spec":{"renewTime":"2026-02-03T04:05:06.123456Z"}`)
	for name, c := range map[string]struct {
		objects  []string
		asOf     string
		notAfter string
		want     string
		clock    string
	}{
		"as asked": {objects: []string{lease}, asOf: "2026-05-05T05:05:05Z", want: "2026-05-05T05:05:05Z", clock: "--as-of"},
		"a lease":  {objects: []string{lease}, want: "2026-02-03T04:05:06.123456Z", clock: "newest timestamp in the dump"},
		"a deletion that is still to come does not count": {objects: []string{lease, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a","deletionTimestamp":"2026-02-03T05:00:00Z"}}`}, want: "2026-02-03T04:05:06.123456Z"},
		"a condition":    {objects: []string{lease, obj("v1", "Pod", "a", "x", `"status":{"conditions":[{"type":"Ready","lastTransitionTime":"2026-02-03T04:05:07Z"}]}`)}, want: "2026-02-03T04:05:07Z"},
		"a container":    {objects: []string{lease, obj("v1", "Pod", "a", "x", `"status":{"containerStatuses":[{"state":{"running":{"startedAt":"2026-02-03T04:05:08Z"}}}]}`)}, want: "2026-02-03T04:05:08Z"},
		"an event":       {objects: []string{lease, obj("v1", "Event", "a", "x", `"lastTimestamp":"2026-02-03T04:05:09Z"`)}, want: "2026-02-03T04:05:09Z"},
		"a series":       {objects: []string{lease, obj("events.k8s.io/v1", "Event", "a", "x", `"series":{"count":2,"lastObservedTime":"2026-02-03T04:05:10.000001Z"}`)}, want: "2026-02-03T04:05:10.000001Z"},
		"managed fields": {objects: []string{lease, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a","managedFields":[{"time":"2026-02-03T04:05:11Z","fieldsV1":{"f:x":{}}}]}}`}, want: "2026-02-03T04:05:11Z"},
		"a kind that is not looked at does not count":         {objects: []string{lease, obj("example.com/v1", "Certificate", "a", "x", `"status":{"renewTime":"2027-01-01T00:00:00Z","conditions":[{"lastTransitionTime":"2027-01-01T00:00:00Z"}]}`)}, want: "2026-02-03T04:05:06.123456Z"},
		"an annotation does not count":                        {objects: []string{lease, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"a","annotations":{"startTime":"2027-01-01T00:00:00Z"}}}`}, want: "2026-02-03T04:05:06.123456Z"},
		"a clock that is ahead of the present does not count": {objects: []string{lease, obj("v1", "Event", "a", "x", `"lastTimestamp":"2036-02-03T04:05:09Z"`)}, notAfter: "2026-06-01T00:00:00Z", want: "2026-02-03T04:05:06.123456Z"},
	} {
		t.Run(name, func(t *testing.T) {
			var o dump.Options
			for s, to := range map[string]*time.Time{c.asOf: &o.AsOf, c.notAfter: &o.NotAfter} {
				if s == "" {
					continue
				}
				v, err := time.Parse(time.RFC3339, s)
				if err != nil {
					t.Fatal(err)
				}
				*to = v
			}
			for _, ext := range []string{"json", "yaml"} {
				text := list("List", c.objects...)
				if ext == "yaml" {
					text = string(toYAML(t, text))
				}
				paths := write(t, t.TempDir(), map[string]string{"all." + ext: text})
				b, err := dump.Open(context.Background(), paths, o)
				if err != nil {
					t.Fatal(err)
				}
				origin, now, err := b.Open(context.Background())
				if err != nil || now.UTC().Format(time.RFC3339Nano) != c.want || c.clock != "" && origin.Clock != c.clock {
					t.Errorf("%s: %s %q %v, want %s %q", ext, now, origin.Clock, err, c.want, c.clock)
				}
			}
		})
	}
}

func TestSecretsAndConfigMapsAreMetadataOnlyInEveryShape(t *testing.T) {
	secret := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"a","creationTimestamp":"2026-01-01T00:00:00Z","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"},"labels":{"l":"v"}},"data":{"p":"hunter2"}}`
	raw := `{"kind":"SecretList","apiVersion":"v1","items":[{"metadata":{"name":"s","namespace":"a","labels":{"l":"v"}},"data":{"p":"hunter2"}}]}`
	late := `{"apiVersion":"v1","items":[{"metadata":{"name":"s","namespace":"a","labels":{"l":"v"}},"data":{"p":"hunter2"}}],"kind":"SecretList"}`
	for name, files := range map[string]map[string]string{
		"json": {"s.json": secret}, "raw": {"s.json": raw}, "kind last": {"s.json": late}, "yaml": {"s.yaml": string(toYAML(t, secret))}, "gz": {"s.json.gz": string(gz(t, late))},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := open(t, files).Get(context.Background(), snapshot.Secret, "a", "s")
			if err != nil {
				t.Fatal(err)
			}
			m, ok := o.(*metav1.PartialObjectMetadata)
			if !ok || m.Kind != "Secret" || m.Labels["l"] != "v" || strings.Contains(show(m), "hunter2") {
				t.Errorf("%T %s", o, show(o))
			}
		})
	}
}

func TestOtherFilesArePassedOverAndCounted(t *testing.T) {
	b := open(t, map[string]string{
		"pods.json":    list("List", pod("a", "x"), obj("apps/v1beta1", "Deployment", "a", "old"), obj("example.com/v1", "Widget", "a", "w")),
		"kubelet.log":  "E1123 13:06:15.000000 1 pod.go:1] failed\n",
		"json.log":     "{\"level\":\"info\"}\n{\"level\":\"warn\", broken\n",
		"brackets.log": "[2026-01-01 10:00] started\n",
		"captured-at":  "2026-01-01T00:00:00Z\n",
		"index.html":   "<html><body>apiVersion: v1</body></html>",
		"empty.json":   "",
		"package.json": `{"name":"web","version":"1.0.0"}`,
		"compose.yaml": "services:\n  web:\n    image: x\n",
		"values.yml":   "a: [1, 2\nb: {{ .Template }}\n",
		"binary.bin":   "\x00\x01\x02apiVersion: v1\n",
		"old.log.gz":   string(gz(t, "E1123 nothing\n")),
		"archive.zip":  "PK\x03\x04....",
		"inside/x.tar": "not a tar",
	})
	n, err := names(t, b, snapshot.Pod, "a")
	if err != nil || !slices.Equal(n, []string{"a/x"}) {
		t.Errorf("%v %v", n, err)
	}
	s := b.Skipped()
	if s.Files != 13 || s.Objects != 3 || len(s.Names) != 13 || !slices.Equal(s.Kinds, []string{"apps/v1beta1 Deployment", "example.com/v1 Widget"}) {
		t.Errorf("passed over %d files %q, %d objects %q", s.Files, s.Names, s.Objects, s.Kinds)
	}
}

func TestClusterInfoDumpOnStandardOutput(t *testing.T) {
	text := indented(t, `{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"n"}}]}`) +
		indented(t, `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"x","namespace":"kube-system","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"nodeName":"n"}}]}`) +
		"==== START logs for container c of pod kube-system/x ====\n{ not json\nI1123 log line\n==== END logs for container c of pod kube-system/x ====\n" +
		indented(t, `{"kind":"EventList","apiVersion":"v1","items":[]}`)
	b, err := dump.Open(context.Background(), []string{"-"}, dump.Options{Stdin: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := names(t, b, snapshot.Node, ""); err != nil || len(n) != 1 {
		t.Errorf("%v %v", n, err)
	}
	if n, err := names(t, b, snapshot.Pod, "kube-system"); err != nil || len(n) != 1 {
		t.Errorf("%v %v", n, err)
	}
	if _, err := names(t, b, snapshot.Event, "kube-system"); err != nil {
		t.Error(err)
	}
}

func TestEventsOfBothAPIsAreTheSameToAReader(t *testing.T) {
	b := open(t, map[string]string{"events.json": list("List",
		obj("v1", "Event", "a", "old", `"involvedObject":{"kind":"Pod","namespace":"a","name":"x"},"reason":"R","message":"m","type":"Warning","count":3`),
		obj("events.k8s.io/v1", "Event", "a", "new", `"regarding":{"kind":"Pod","namespace":"a","name":"x"},"reason":"R","note":"m","type":"Warning","deprecatedCount":3`))})
	var got []string
	err := b.List(context.Background(), source.ListRequest{Kind: snapshot.Event, Namespace: "a", FieldSelector: "involvedObject.name=x,type=Warning"}, func(o runtime.Object) {
		e := o.(*corev1.Event)
		got = append(got, fmt.Sprint(e.InvolvedObject.Name, e.Reason, e.Message, e.Count))
	})
	if err != nil || len(got) != 2 || got[0] != got[1] {
		t.Errorf("%q %v", got, err)
	}
}

func TestAFileThatChangesAfterwardsIsNotReadWrongly(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, map[string]string{"pods.json": list("List", pod("a", "x"), pod("a", "y"))})[0]
	b, err := dump.Open(context.Background(), []string{path}, dump.Options{AsOf: sourcetest.Taken()})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"pods.json": list("List", pod("a", "longer-than-before"), pod("a", "y"))})
	if _, err := b.Get(context.Background(), snapshot.Pod, "a", "y"); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(context.Background(), snapshot.Pod, "a", "y"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestWriteReplacesNothingThatItDidNotWrite(t *testing.T) {
	ctx := context.Background()
	s, err := source.Load(ctx, &sourcetest.Memory{Objects: sourcetest.Cluster(), Now: sourcetest.Taken()}, source.Query{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, dir, map[string]string{"mine/notes.txt": "keep me", "file.tar.gz": "keep me"})
	if err := os.Mkdir(at("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		force bool
		ok    bool
	}{
		{"mine", false, false}, {"mine", true, false}, {"file.tar.gz", false, false}, {"mine/notes.txt", true, false},
		{"dump.zip", true, false}, {"dump.json", true, false}, {"dump.tar", false, false},
		{"empty", false, true}, {"empty", false, false}, {"empty", true, true},
		{"new", false, true}, {"new.tgz", false, true}, {"new.tgz", false, false}, {"new.tgz", true, true}, {"no/such/folder", false, false},
	} {
		err := dump.Write(ctx, at(c.path), s, dump.WriteOptions{Force: c.force})
		if (err == nil) != c.ok {
			t.Errorf("%s force=%v: %v", c.path, c.force, err)
		}
		if !c.ok && c.path != "no/such/folder" && !strings.HasPrefix(c.path, "dump.") && !errors.Is(err, dump.ErrExists) {
			t.Errorf("%s: %v is not ErrExists", c.path, err)
		}
	}
	for _, f := range []string{"mine/notes.txt", "file.tar.gz"} {
		if text, err := os.ReadFile(at(f)); err != nil || string(text) != "keep me" {
			t.Errorf("%s: %q %v", f, text, err)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), ".") {
			t.Errorf("left behind: %s %v", path, err)
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() && strings.HasPrefix(path, at("new")) && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := dump.Write(canceled, at("never"), s, dump.WriteOptions{}); err == nil {
		t.Error("a write whose context has ended succeeded")
	}
	if _, err := os.Lstat(at("never")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a dump: %v", err)
	}
}
