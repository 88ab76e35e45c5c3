package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/dump"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// TestSources makes sourcetest's cluster real, and reads it in every way. Nothing runs in it that would change it meanwhile.
func TestSources(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := bed.Start(ctx, bed.Options{NoControllerManager: true, NoScheduler: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	backend := func(t *testing.T) source.Backend {
		b, err := live.New(c.Config(), live.Options{Context: bed.ContextName, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := Settled(ctx, c); err != nil {
		t.Fatal(err)
	}
	for _, o := range inOrder(sourcetest.Cluster()) {
		if err := create(ctx, client, o); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a live cluster keeps the contract", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T, _ []runtime.Object) (source.Backend, []runtime.Object) {
			return Quiet(backend(t)), stored(ctx, t, client)
		})
	})
	for name, q := range sourcetest.Queries() {
		t.Run("what is written of it reads back equal: "+name, func(t *testing.T) {
			want, err := source.Load(ctx, backend(t), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Pods()) == 0 {
				t.Fatal("no pods were read, so this compares nothing")
			}
			for _, base := range []string{"dump", "dump.tar.gz"} {
				path := filepath.Join(t.TempDir(), base)
				if err := dump.Write(ctx, path, want, dump.WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				got, err := load(ctx, path, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range sourcetest.Diff(want, got) {
					t.Errorf("%s: %s", base, d)
				}
			}
		})
	}
	t.Run("what kubectl saves of it gives the same snapshot", func(t *testing.T) { kubectl(ctx, t, c, backend(t)) })
}

func load(ctx context.Context, path string, q source.Query) (*snapshot.Snapshot, error) {
	b, err := dump.Open(ctx, []string{path}, dump.Options{NotAfter: time.Now().Add(time.Minute)})
	if err != nil {
		return nil, err
	}
	return b.Load(ctx, q)
}

// kubectl saves every kind with kubectl get -o json and -o yaml.
func kubectl(ctx context.Context, t *testing.T, c *bed.Cluster, b source.Backend) {
	bin, err := c.LinkKubectl()
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"json", "yaml"} {
		dir := t.TempDir()
		for _, info := range snapshot.Kinds() {
			resource := strings.TrimSuffix(info.GVR.Resource+"."+info.GVR.Group, ".")
			cmd := exec.CommandContext(ctx, filepath.Join(bin, "kubectl"), "get", resource, "-A", "-o", format, "--show-managed-fields", "--kubeconfig", c.Kubeconfig())
			var errors bytes.Buffer
			cmd.Stderr = &errors
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v: %s", cmd.Args, err, errors.Bytes())
			}
			if err := os.WriteFile(filepath.Join(dir, resource+"."+format), out, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for name, q := range sourcetest.Queries() {
			want, err := source.Load(ctx, b, q)
			if err != nil {
				t.Fatal(err)
			}
			got, err := load(ctx, dir, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range sourcetest.Diff(want, got) {
				// The API server's own lease is renewed between two looks (see Restless).
				if !strings.HasPrefix(d, "now: ") && !strings.HasPrefix(d, "Lease kube-system/apiserver-") {
					t.Errorf("%s, %s: %s", format, name, d)
				}
			}
		}
	}
}

// inOrder puts first what others need in order to be accepted, and what asks about others last.
func inOrder(objects []runtime.Object) []runtime.Object {
	rank := func(o runtime.Object) int {
		switch kind := kindOf(o); {
		case kind == "Namespace":
			return 0
		case kind == "Pod":
			return 2
		case strings.HasSuffix(kind, "WebhookConfiguration"), strings.Contains(kind, "AdmissionPolicy"), kind == "ResourceQuota":
			return 3
		default:
			return 1
		}
	}
	out := slices.Clone(objects)
	slices.SortStableFunc(out, func(a, b runtime.Object) int { return rank(a) - rank(b) })
	return out
}

func kindOf(o runtime.Object) string {
	if u, ok := o.(*unstructured.Unstructured); ok {
		return u.GetKind()
	}
	name := fmt.Sprintf("%T", o)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// create makes an object, gives it its status, and deletes it if it is to be deleted.
func create(ctx context.Context, client dynamic.Interface, o runtime.Object) error {
	info, ok := snapshot.InfoOf(snapshot.Kind(kindOf(o)))
	if !ok {
		return fmt.Errorf("%T is of no known kind", o)
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: m}
	u.SetGroupVersionKind(info.GVK())
	deleted := u.GetDeletionTimestamp() != nil
	for _, f := range []string{"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"} {
		unstructured.RemoveNestedField(u.Object, "metadata", f)
	}
	var to dynamic.ResourceInterface = client.Resource(info.GVR)
	if info.Namespaced {
		to = client.Resource(info.GVR).Namespace(u.GetNamespace())
	}
	got, err := to.Create(ctx, u, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create %s %s: %w", info.Kind, u.GetName(), err)
	}
	if info.Kind == snapshot.CustomResourceDefinition { // whose status the API server writes itself
		return established(ctx, to, u.GetName())
	}
	if status, ok := u.Object["status"]; ok && len(status.(map[string]any)) > 0 && info.Kind != snapshot.Namespace {
		got.Object["status"] = status
		if _, err := to.UpdateStatus(ctx, got, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("update the status of %s %s: %w", info.Kind, u.GetName(), err)
		}
	}
	if deleted {
		if err := to.Delete(ctx, u.GetName(), metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("delete %s %s: %w", info.Kind, u.GetName(), err)
		}
	}
	return nil
}

// established waits until the API server serves what the definition defines, and changes the definition no more.
func established(ctx context.Context, client dynamic.ResourceInterface, name string) error {
	return bed.Poll(ctx, time.Minute, func(ctx context.Context) error {
		u, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, c := range conditions {
			if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("%s is not established", name)
	})
}

// stored reads back everything, by another way than the one under test.
func stored(ctx context.Context, t *testing.T, client dynamic.Interface) (out []runtime.Object) {
	for _, info := range snapshot.Kinds() {
		list, err := client.Resource(info.GVR).List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			o := snapshot.New(info.Kind)
			switch info.Kind {
			case snapshot.ConfigMap:
				o = &corev1.ConfigMap{}
			case snapshot.Secret:
				o = &corev1.Secret{}
			}
			b, err := list.Items[i].MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, o); err != nil {
				t.Fatal(err)
			}
			if m, ok := o.(metav1.Object); ok && len(m.GetFinalizers()) == 0 {
				m.SetManagedFields(nil) // which the live source leaves out
			}
			if !Restless(o) {
				out = append(out, o)
			}
		}
	}
	return out
}
