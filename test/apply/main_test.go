package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/apply"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/world"
)

// cluster is one control plane for all tests. Nothing runs in it: no kubelet, no controllers, so that pods stay as they are made.
var cluster *bed.Cluster

func TestMain(m *testing.M) {
	os.Exit(world.Main("apply", 10*time.Minute, func(ctx context.Context, _ string) (code int, err error) {
		if cluster, err = bed.Start(ctx, bed.Options{NoControllerManager: true, NoScheduler: true, Log: os.Stderr}); err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, cluster.Stop()) }()
		return m.Run(), nil
	}))
}

const (
	node = "worker-a1" // there is none: nobody will stop a pod's containers
	hold = "example.com/hold"
	keep = "example.com/keep"
)

// space makes a namespace for one test.
func space(t *testing.T) string {
	t.Helper()
	ns, err := cluster.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "apply-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// pod makes a pod that is bound to a node.
func pod(t *testing.T, ns, name string, finalizers ...string) *corev1.Pod {
	t.Helper()
	p, err := cluster.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: finalizers, Labels: map[string]string{"app": "shop"}},
		Spec: corev1.PodSpec{
			NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "registry.example/shop:1"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	now, err := cluster.Client().CoreV1().Pods(p.Namespace).Get(t.Context(), p.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// terminating deletes it as kubectl does: with its grace period.
func terminating(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	if err := cluster.Client().CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	now := get(t, p)
	if now == nil || now.DeletionTimestamp == nil {
		t.Fatalf("the pod should be terminating: %+v", now)
	}
	return now
}

// touch changes it as somebody else might.
func touch(t *testing.T, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"touched":"%d"}}}`, time.Now().UnixNano())
	now, err := cluster.Client().CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func client(t *testing.T, cfg *rest.Config) *apply.Client {
	t.Helper()
	c, err := apply.New(cfg, apply.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func admin(t *testing.T) *apply.Client {
	t.Helper()
	return client(t, cluster.Config())
}

// journal is one in memory, for what is written where in the order of things.
type journal struct {
	mu      sync.Mutex
	entries []remedy.Entry
	before  func(remedy.Entry) error
}

func (j *journal) Add(e remedy.Entry) error {
	if j.before != nil {
		if err := j.before(e); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, e)
	return nil
}

// types are those of the entries, in order.
func (j *journal) types() string {
	var out []string
	for _, e := range j.entries {
		out = append(out, string(e.Type))
	}
	return strings.Join(out, " ")
}

func refOf(p *corev1.Pod) snapshot.Ref {
	return snapshot.Ref{Kind: snapshot.Pod, Namespace: p.Namespace, Name: p.Name, UID: p.UID}
}

func force(p *corev1.Pod) remedy.Step {
	zero := int64(0)
	s := remove(p)
	s.Grace, s.What = &zero, "force delete "+p.Name
	return s
}

func remove(p *corev1.Pod) remedy.Step {
	return remedy.Step{Verb: remedy.Delete, Ref: refOf(p), ResourceVersion: p.ResourceVersion, What: "delete " + p.Name}
}

func finalizers(p *corev1.Pod, names ...string) remedy.Step {
	return remedy.Step{Verb: remedy.Patch, Ref: refOf(p), ResourceVersion: p.ResourceVersion, Finalizers: names, What: "take finalizers off " + p.Name}
}

// again is the manifest of a pod that is made anew.
func again(t *testing.T, p *corev1.Pod) remedy.Step {
	t.Helper()
	fresh := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: p.Labels}, Spec: p.Spec,
	}
	raw, err := json.Marshal(fresh)
	if err != nil {
		t.Fatal(err)
	}
	ref := refOf(p)
	ref.UID = ""
	return remedy.Step{Verb: remedy.Create, Ref: ref, Manifest: raw, What: "create " + p.Name}
}

// planOf makes a plan of one act for each list of steps.
func planOf(acts ...[]remedy.Step) remedy.Plan {
	plan := remedy.Plan{APIVersion: remedy.APIVersion, Kind: remedy.KindPlan, Made: time.Now(), Expires: time.Now().Add(remedy.Lifetime)}
	for _, steps := range acts {
		plan.Acts = append(plan.Acts, remedy.Act{Target: steps[0].Ref, Risk: diagnose.RiskMedium, Steps: steps})
	}
	return plan
}

func steps(s ...remedy.Step) []remedy.Step { return s }

// again is what cli's hook does, without a picture: the act for the object as it is now.
func hooks(t *testing.T, called *int) apply.Hooks {
	return apply.Hooks{
		Say: func(s string) { t.Log(s) },
		Again: func(ctx context.Context, act remedy.Act) (remedy.Act, error) {
			*called++
			now, err := cluster.Client().CoreV1().Pods(act.Target.Namespace).Get(ctx, act.Target.Name, metav1.GetOptions{})
			if err != nil {
				return act, fmt.Errorf("picture: %w", err)
			}
			raw, err := json.Marshal(now)
			if err != nil {
				return act, err
			}
			obj := &unstructured.Unstructured{}
			if err := json.Unmarshal(raw, &obj.Object); err != nil {
				return act, err
			}
			act.Steps = append([]remedy.Step(nil), act.Steps...)
			for i := range act.Steps {
				s, err := remedy.Rebase(act.Steps[i], obj)
				if err != nil && !errors.Is(err, remedy.ErrNothingLeft) {
					return act, err
				}
				act.Steps[i] = s
			}
			return act, nil
		},
	}
}

func carry(t *testing.T, plan remedy.Plan) (*journal, []remedy.Outcome, remedy.Status, error) {
	t.Helper()
	j, calls := &journal{}, 0
	out, status, err := admin(t).Carry(t.Context(), j, plan, hooks(t, &calls))
	for _, o := range out {
		t.Logf("%d.%d %s (code %d, %d attempts): %s", o.Act, o.Step, o.Status, o.Code, o.Attempts, o.Text)
	}
	return j, out, status, err
}

func userClient(t *testing.T, kubeconfig string, err error) *rest.Config {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := configOf(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func clientset(t *testing.T) kubernetes.Interface {
	t.Helper()
	return cluster.Client()
}
