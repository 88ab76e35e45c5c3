package churn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
)

const (
	namespace = "shop"
	// lasting is for how long the churn goes on: longer than every threshold but those of minutes, and through several rounds of everything.
	lasting = 120 * time.Second
	// every is the pause between two looks.
	every = 3 * time.Second
)

// seen is what a look must show nothing of, and what proves that there was something to see.
type seen struct {
	Summary struct {
		StuckPods    int `json:"stuckPods"`
		StuckObjects int `json:"stuckObjects"`
		Waiting      int `json:"waiting"`
		Pods         int `json:"pods"`
		Nodes        int `json:"nodes"`
	} `json:"summary"`
	Groups []struct {
		Node string `json:"node"`
		Pods []struct {
			Name      string `json:"name"`
			State     string `json:"state"`
			Stage     string `json:"stage"`
			StuckFor  string `json:"stuckFor"`
			Threshold int64  `json:"thresholdSeconds"`
		} `json:"pods"`
	} `json:"groups"`
	Objects []json.RawMessage `json:"objects"`
}

func TestNothingIsCalledStuckWhereMuchHappensAndNothingIsWrong(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cluster, err := bed.Start(ctx, bed.Options{Log: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	}()
	kubectl, err := plugin.Build(ctx, t.TempDir(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	c := &churn{cluster: cluster, done: map[string]int{}}
	if err := c.setup(ctx); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithTimeout(ctx, lasting)
	defer stop()
	var wg sync.WaitGroup
	for _, act := range c.acts() {
		wg.Go(func() { c.repeat(running, act) })
	}
	looks, waiting := 0, 0
	for running.Err() == nil {
		a, err := kubectl.Run(ctx, cluster.Kubeconfig(), "pods", "-A", "-o", "json", "--exit-code")
		if err != nil {
			t.Fatal(err)
		}
		var s seen
		if err := json.Unmarshal([]byte(a.Out), &s); err != nil {
			t.Fatalf("exit code %d: %v\n%s%s", a.Code, err, a.Out, a.ErrOut)
		}
		looks++
		waiting = max(waiting, s.Summary.Waiting)
		if s.Summary.StuckPods > 0 || s.Summary.StuckObjects > 0 {
			t.Errorf("look %d: %d pods and %d objects are called stuck: %+v %s", looks, s.Summary.StuckPods, s.Summary.StuckObjects, s.Groups, s.Objects)
		}
		if a.Code != 0 {
			t.Errorf("look %d: exit code %d: %s", looks, a.Code, a.ErrOut)
		}
		if s.Summary.Pods == 0 || s.Summary.Nodes != len(nodes()) {
			t.Errorf("look %d saw %d pods on %d nodes", looks, s.Summary.Pods, s.Summary.Nodes)
		}
		select {
		case <-time.After(every):
		case <-running.Done():
		}
	}
	wg.Wait()
	for _, err := range c.failures {
		t.Error(err)
	}
	if looks < 5 || waiting == 0 {
		t.Errorf("%d looks, and at most %d pods on their way at once: too little happened to prove anything", looks, waiting)
	}
	for _, act := range c.acts() {
		if c.done[act.name] == 0 {
			t.Errorf("%s: never happened", act.name)
		}
	}
	t.Logf("%d looks, up to %d pods on their way at once; %v", looks, waiting, c.done)
}

func nodes() []string { return []string{"worker-a", "worker-b", "worker-c", "worker-d"} }

// churn is what goes on.
type churn struct {
	cluster *bed.Cluster

	mu       sync.Mutex
	done     map[string]int
	failures []error
	jobs     int
}

type act struct {
	name  string
	pause time.Duration
	do    func(context.Context) error
}

func (c *churn) acts() []act {
	return []act{
		{"rolling updates", 20 * time.Second, c.rollOut},
		{"rolling updates of a StatefulSet", 25 * time.Second, c.rollOutState},
		{"long graceful shutdowns", 30 * time.Second, c.deleteSlow},
		{"jobs", 4 * time.Second, c.startJob},
		{"evictions", 2 * time.Second, c.evict},
		{"drains", 40 * time.Second, c.drain},
		{"restarts of a kubelet", 45 * time.Second, c.restartKubelet},
	}
}

// repeat does something again and again until the time is up. What is cut off by that is no failure.
func (c *churn) repeat(ctx context.Context, a act) {
	for {
		err := a.do(ctx)
		c.mu.Lock()
		switch {
		case err == nil:
			c.done[a.name]++
		case ctx.Err() == nil:
			c.failures = append(c.failures, fmt.Errorf("%s: %w", a.name, err))
		}
		c.mu.Unlock()
		select {
		case <-time.After(a.pause):
		case <-ctx.Done():
			return
		}
	}
}

func (c *churn) setup(ctx context.Context) error {
	for i, n := range nodes() {
		node, err := c.cluster.StartNode(ctx, n, bed.NodeOptions{Zone: fmt.Sprintf("eu-central-1%c", 'a'+i%3)})
		if err != nil {
			return fmt.Errorf("start node %s: %w", n, err)
		}
		// A registry that takes its time, and a runtime that is not the fastest.
		if _, err := node.Faults().Add(ctx,
			fault.Rule{Call: fault.PullImage, Action: fault.Delay, Delay: 4 * time.Second},
			fault.Rule{Call: fault.StartContainer, Action: fault.Delay, Delay: time.Second},
		); err != nil {
			return fmt.Errorf("slow down node %s: %w", n, err)
		}
	}
	if err := c.cluster.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	client := c.cluster.Client()
	if _, err := client.AppsV1().Deployments(namespace).Create(ctx, deployment("web", 8, 5, nil), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Deployment web: %w", err)
	}
	drains := []string{"sh", "-c", "sleep 40"}
	slow := deployment("drainer", 3, 120, &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: drains}}})
	if _, err := client.AppsV1().Deployments(namespace).Create(ctx, slow, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Deployment drainer: %w", err)
	}
	ledger := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "ledger"}, Spec: appsv1.StatefulSetSpec{
		Replicas: ptr(int32(3)), Selector: selector("ledger"), ServiceName: "ledger", Template: template("ledger", 5, nil),
	}}
	if _, err := client.AppsV1().StatefulSets(namespace).Create(ctx, ledger, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create StatefulSet ledger: %w", err)
	}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: ptr(intstr.FromInt32(6)), Selector: selector("web"),
	}}
	if _, err := client.PolicyV1().PodDisruptionBudgets(namespace).Create(ctx, budget, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create PodDisruptionBudget web: %w", err)
	}
	return bed.Poll(ctx, 3*time.Minute, func(ctx context.Context) error {
		for _, name := range []string{"web", "drainer"} {
			d, err := client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("get Deployment %s: %w", name, err)
			}
			if d.Status.ReadyReplicas != *d.Spec.Replicas {
				return fmt.Errorf("deployment %s has %d of %d pods Ready", name, d.Status.ReadyReplicas, *d.Spec.Replicas)
			}
		}
		return nil
	})
}

func selector(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

func template(app string, grace int64, hooks *corev1.Lifecycle) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "main", Image: "registry.example.com/shop/" + app + ":1", Lifecycle: hooks}},
		},
	}
}

func deployment(app string, replicas int32, grace int64, hooks *corev1.Lifecycle) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: app}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: selector(app), Template: template(app, grace, hooks),
	}}
}

func (c *churn) rollOut(ctx context.Context) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}},"spec":{"containers":[{"name":"main","image":"registry.example.com/shop/web:%d"}]}}}}`,
		time.Now().UnixNano(), rand.IntN(1000))
	_, err := c.cluster.Client().AppsV1().Deployments(namespace).Patch(ctx, "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func (c *churn) rollOutState(ctx context.Context) error {
	patch := fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"round":"%d"}}}}}`, time.Now().UnixNano())
	_, err := c.cluster.Client().AppsV1().StatefulSets(namespace).Patch(ctx, "ledger", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// deleteSlow deletes a pod that takes forty seconds of its two minutes of grace.
func (c *churn) deleteSlow(ctx context.Context) error {
	p, err := c.anyPod(ctx, "drainer")
	if err != nil {
		return err
	}
	return gone(c.cluster.Client().CoreV1().Pods(namespace).Delete(ctx, p, metav1.DeleteOptions{}))
}

func (c *churn) startJob(ctx context.Context) error {
	c.mu.Lock()
	c.jobs++
	name := fmt.Sprintf("report-%d", c.jobs)
	c.mu.Unlock()
	t := template("report", 5, nil)
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	t.Spec.Containers[0].Command = []string{"sh", "-c", fmt.Sprintf("sleep %d; exit 0", 1+rand.IntN(5))}
	_, err := c.cluster.Client().BatchV1().Jobs(namespace).Create(ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{Template: t, TTLSecondsAfterFinished: ptr(int32(8)), Parallelism: ptr(int32(2)), Completions: ptr(int32(2))},
	}, metav1.CreateOptions{})
	return err
}

// evict asks for an eviction, which the budget may refuse.
func (c *churn) evict(ctx context.Context) error {
	p, err := c.anyPod(ctx, "web")
	if err != nil {
		return err
	}
	return c.evictPod(ctx, p)
}

func (c *churn) evictPod(ctx context.Context, name string) error {
	err := c.cluster.Client().PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	if apierrors.IsTooManyRequests(err) {
		return nil
	}
	return gone(err)
}

// drain cordons a node, evicts what the budgets let go, and takes it back into service.
func (c *churn) drain(ctx context.Context) error {
	node := nodes()[rand.IntN(len(nodes()))]
	if err := c.cordon(ctx, node, true); err != nil {
		return err
	}
	list, err := c.cluster.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err == nil {
		for i := range list.Items {
			if list.Items[i].Status.Phase == corev1.PodRunning {
				err = errors.Join(err, c.evictPod(ctx, list.Items[i].Name))
			}
		}
		sleep(ctx, 10*time.Second)
	}
	return errors.Join(err, c.cordon(context.WithoutCancel(ctx), node, false))
}

func (c *churn) cordon(ctx context.Context, node string, on bool) error {
	_, err := c.cluster.Client().CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, on), metav1.PatchOptions{})
	return err
}

// restartKubelet ends a kubelet and starts it again within the time that the control plane gives a node.
func (c *churn) restartKubelet(ctx context.Context) error {
	node := c.cluster.Node(nodes()[rand.IntN(len(nodes()))])
	if err := node.Stop(); err != nil {
		return err
	}
	sleep(ctx, 8*time.Second)
	return node.Restart(context.WithoutCancel(ctx))
}

func (c *churn) anyPod(ctx context.Context, app string) (string, error) {
	list, err := c.cluster.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		return "", err
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil && list.Items[i].Status.Phase == corev1.PodRunning {
			names = append(names, list.Items[i].Name)
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("no pod of %s runs", app)
	}
	return names[rand.IntN(len(names))], nil
}

// gone forgives that somebody else was faster.
func gone(err error) error {
	if apierrors.IsNotFound(err) || err != nil && strings.Contains(err.Error(), "not found") {
		return nil
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func ptr[T any](v T) *T { return &v }
