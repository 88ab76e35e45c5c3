package live_test

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/sourcetest"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/contract"
	"github.com/kubectl-stuck/kubectl-stuck/test/live/crowd"
)

// TestARealServerKeepsTheContract runs the suite that dumps pass too. The objects are written to the store, because
// through the API nobody can make a pod that is being deleted for an hour.
func TestARealServerKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T, objects []runtime.Object) (source.Backend, []runtime.Object) {
		ctx := t.Context()
		binary, err := bed.Build(ctx)
		if err != nil {
			t.Fatal(err)
		}
		store := t.TempDir() + "/etcd"
		if err := crowd.SeedObjects(ctx, binary, store, objects); err != nil {
			t.Fatal(err)
		}
		c := start(t, bed.Options{Binary: binary, EtcdDir: store})
		if err := contract.Settled(ctx, c); err != nil {
			t.Fatal(err)
		}
		return contract.Quiet(newBackend(t, c.Config())), everything(t, c.Client())
	})
}

// everything reads all objects in JSON with client-go, another way than the Backend's.
func everything(t *testing.T, client kubernetes.Interface) []runtime.Object {
	t.Helper()
	var out []runtime.Object
	for _, info := range snapshot.Kinds() {
		path := "/apis/" + info.GVR.Group + "/" + info.GVR.Version + "/" + info.GVR.Resource
		if info.GVR.Group == "" {
			path = "/api/" + info.GVR.Version + "/" + info.GVR.Resource
		}
		data, err := client.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, item := range list.Items {
			o := snapshot.New(info.Kind)
			switch info.Kind { // the suite's reference has these whole
			case snapshot.ConfigMap:
				o = &corev1.ConfigMap{}
			case snapshot.Secret:
				o = &corev1.Secret{}
			}
			if err := json.Unmarshal(item, o); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if m := o.(metav1.Object); len(m.GetFinalizers()) == 0 {
				m.SetManagedFields(nil) // which the Backend leaves out
			}
			if !contract.Restless(o) {
				out = append(out, o)
			}
		}
	}
	return out
}
