package guards

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/cri"
	"github.com/kubectl-stuck/kubectl-stuck/test/plugin"
)

const (
	soon = 90 * time.Second
	pool = "guards.example.com/pool"
	app  = "app.kubernetes.io/name"

	refused = 4
)

func edgeTaints() []corev1.Taint {
	return []corev1.Taint{{Key: pool, Value: edge, Effect: corev1.TaintEffectNoSchedule}}
}

func edgeLabels() map[string]string { return map[string]string{pool: edge} }

// edit changes a pod's spec.
type edit func(*corev1.PodSpec)

// spec is that of a pod of one container.
func spec(image string, edits ...edit) corev1.PodSpec {
	s := corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: "registry.example.com/guards/" + image + ":v1.14.2",
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
		}},
	}}}
	for _, e := range edits {
		e(&s)
	}
	return s
}

func grace(seconds int64) edit {
	return func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = &seconds }
}

// on binds the pod without asking a scheduler.
func on(node string) edit { return func(s *corev1.PodSpec) { s.NodeName = node } }

// onEdge lets the pod prefer the node that will be cut off, and leave it soon after; its replacement may go elsewhere.
func onEdge(s *corev1.PodSpec) {
	seconds := int64(2)
	s.Tolerations = append(s.Tolerations,
		corev1.Toleration{Key: pool, Operator: corev1.TolerationOpExists},
		corev1.Toleration{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
		corev1.Toleration{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds})
	s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
		Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: pool, Operator: corev1.NodeSelectorOpIn, Values: []string{edge},
		}}},
	}}}}
	// The scheduler's own spreading would outweigh the preference.
	s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelOSStable, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{},
	}}
}

func labelsOf(name string) map[string]string { return map[string]string{app: name} }

func templateOf(name string, s corev1.PodSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(name)}, Spec: s}
}

// pod makes a pod without a controller.
func (w *world) pod(ctx context.Context, namespace, name string, s corev1.PodSpec, finalizers ...string) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelsOf(name), Finalizers: finalizers}, Spec: s}
	if _, err := w.Client().CoreV1().Pods(namespace).Create(ctx, p, metav1.CreateOptions{FieldManager: "manager"}); err != nil {
		return fmt.Errorf("create pod %s/%s: %w", namespace, name, err)
	}
	return w.wait(ctx, namespace, name, running(""))
}

// set makes a StatefulSet of one replica and waits until it runs on the node.
func (w *world) set(ctx context.Context, namespace, name, node string, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	one := int32(1)
	_, err := w.Client().AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &one, ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: labelsOf(name)}, Template: templateOf(name, s),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create StatefulSet %s/%s: %w", namespace, name, err)
	}
	return w.wait(ctx, namespace, name+"-0", running(node))
}

// deployment makes a Deployment and waits until all its pods run on the node.
func (w *world) deployment(ctx context.Context, namespace, name, node string, replicas int32, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	_, err := w.Client().AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labelsOf(name)}, Template: templateOf(name, s)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create Deployment %s/%s: %w", namespace, name, err)
	}
	return bed.Poll(ctx, soon, func(ctx context.Context) error {
		pods, err := w.podsOf(ctx, namespace, name)
		if err != nil {
			return err
		}
		n := 0
		for _, p := range pods {
			if running(node)(&p) == nil {
				n++
			}
		}
		if n != int(replicas) {
			return fmt.Errorf("%d of %d pods of %s/%s run on %q", n, replicas, namespace, name, node)
		}
		return nil
	})
}

func (w *world) podsOf(ctx context.Context, namespace, name string) ([]corev1.Pod, error) {
	list, err := w.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: app + "=" + name})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s/%s: %w", namespace, name, err)
	}
	return list.Items, nil
}

func (w *world) delete(ctx context.Context, namespace, name string) error {
	if err := w.Client().CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete pod %s/%s: %w", namespace, name, err)
	}
	return nil
}

// force is kubectl delete --grace-period=0 --force: no guard, and no precondition.
func (w *world) force(t *testing.T, namespace, name string) {
	t.Helper()
	if err := w.Client().CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
}

// check says why a pod is not as it should be.
type check func(*corev1.Pod) error

func running(node string) check {
	return func(p *corev1.Pod) error {
		if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil || node != "" && p.Spec.NodeName != node {
			return fmt.Errorf("pod %s/%s is %s on %q, deleted %v; want it Running on %q", p.Namespace, p.Name, p.Status.Phase, p.Spec.NodeName, p.DeletionTimestamp, node)
		}
		return nil
	}
}

// overdue pods are so long past their deletionTimestamp that nobody takes them for pods in their grace period.
func overdue(p *corev1.Pod) error {
	if p.DeletionTimestamp == nil || time.Since(p.DeletionTimestamp.Time) < 12*time.Second {
		return fmt.Errorf("pod %s/%s is not overdue: deleted %v", p.Namespace, p.Name, p.DeletionTimestamp)
	}
	return nil
}

// stuck pods are so long overdue that the plugin counts them as stuck: 30 s.
func stuck(p *corev1.Pod) error {
	if p.DeletionTimestamp == nil || time.Since(p.DeletionTimestamp.Time) < 35*time.Second {
		return fmt.Errorf("pod %s/%s is not stuck: deleted %v", p.Namespace, p.Name, p.DeletionTimestamp)
	}
	return nil
}

// heldOnly pods are done but for their finalizers.
func heldOnly(p *corev1.Pod) error {
	if p.DeletionTimestamp == nil || p.DeletionGracePeriodSeconds == nil || *p.DeletionGracePeriodSeconds != 0 || len(p.Finalizers) == 0 {
		return fmt.Errorf("pod %s/%s is not held by finalizers alone: deleted %v, finalizers %q", p.Namespace, p.Name, p.DeletionTimestamp, p.Finalizers)
	}
	return nil
}

func deleting(p *corev1.Pod) error {
	if p.DeletionTimestamp == nil {
		return fmt.Errorf("pod %s/%s is not being deleted", p.Namespace, p.Name)
	}
	return nil
}

// other pods have the name, and not the UID.
func other(uid types.UID, and ...check) check {
	return func(p *corev1.Pod) error {
		if p.UID == uid {
			return fmt.Errorf("pod %s/%s is still the same", p.Namespace, p.Name)
		}
		for _, c := range and {
			if err := c(p); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *world) wait(ctx context.Context, namespace, name string, c check) error {
	return bed.Poll(ctx, soon, func(ctx context.Context) error {
		p, err := w.Client().CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get pod %s/%s: %w", namespace, name, err)
		}
		return c(p)
	})
}

// until waits, and returns the pod.
func (w *world) until(t *testing.T, namespace, name string, c check) *corev1.Pod {
	t.Helper()
	if err := w.wait(t.Context(), namespace, name, c); err != nil {
		t.Fatal(err)
	}
	return w.get(t, namespace, name)
}

// settled waits until the pod is as it should be and nobody has changed it for some seconds.
func (w *world) settled(t *testing.T, namespace, name string, c check) *corev1.Pod {
	t.Helper()
	version, since := "", time.Now()
	return w.until(t, namespace, name, func(p *corev1.Pod) error {
		if p.ResourceVersion != version {
			version, since = p.ResourceVersion, time.Now()
		}
		if time.Since(since) < 4*time.Second {
			return fmt.Errorf("pod %s/%s is still being changed", namespace, name)
		}
		return c(p)
	})
}

func (w *world) get(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	p, err := w.Client().CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) gone(t *testing.T, namespace, name string, uid types.UID) bool {
	t.Helper()
	p, err := w.Client().CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil || p.UID != uid
}

// live are the containers of pods of that name that run on the machines named, or on all, whatever the API says.
func (w *world) live(t *testing.T, namespace, name string, nodes ...string) []cri.Running {
	t.Helper()
	if len(nodes) == 0 {
		nodes = []string{edge, "worker-a1", near, "worker-c1"}
	}
	var out []cri.Running
	for _, node := range nodes {
		all, err := w.Node(node).Running(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if c.Namespace == namespace && c.Pod == name {
				out = append(out, c)
			}
		}
	}
	return out
}

// answer is what the plugin printed, with its document.
type answer struct {
	plugin.Answer

	doc report.Fix
}

// fix runs `kubectl stuck fix ARGS -o json` as the cluster's admin, with a journal of the test's own.
func (w *world) fix(t *testing.T, args ...string) answer {
	t.Helper()
	return w.fixAs(t, w.Kubeconfig(), args...)
}

func (w *world) fixAs(t *testing.T, kubeconfig string, args ...string) answer {
	t.Helper()
	return w.stuck(t, kubeconfig, append([]string{"fix"}, args...)...)
}

func (w *world) stuck(t *testing.T, kubeconfig string, args ...string) answer {
	t.Helper()
	if !slices.Contains(args, "--journal") {
		args = append(args, "--journal", t.TempDir())
	}
	a, err := w.plugin.Run(t.Context(), kubeconfig, append(args, "-o", "json")...)
	if err != nil {
		t.Fatal(err)
	}
	out := answer{Answer: a}
	if strings.HasPrefix(strings.TrimSpace(a.Out), "{") {
		if err := json.Unmarshal([]byte(a.Out), &out.doc); err != nil {
			t.Fatalf("kubectl stuck %q: %v\n%s", args, err, a.Out)
		}
	}
	t.Logf("kubectl stuck %s: exit %d, status %q\n%s", strings.Join(args, " "), a.Code, out.doc.Status, a.ErrOut)
	return out
}

// verdicts are all those of the document's plan.
func (a answer) verdicts() []remedy.Verdict {
	if a.doc.Plan == nil {
		return nil
	}
	all := slices.Clone(a.doc.Plan.Verdicts)
	for _, act := range a.doc.Plan.Acts {
		all = append(all, act.Verdicts...)
	}
	return all
}

func (a answer) verdict(guard string) (remedy.Verdict, bool) {
	all := a.verdicts()
	i := slices.IndexFunc(all, func(v remedy.Verdict) bool { return v.Guard == guard })
	if i < 0 {
		return remedy.Verdict{}, false
	}
	return all[i], true
}

// stood is what a refusal must not change.
type stood struct {
	uid     types.UID
	version string
	live    int
	writes  int
}

func (w *world) stands(t *testing.T, namespace, name string) stood {
	t.Helper()
	p := w.get(t, namespace, name)
	of := slices.DeleteFunc(w.writes(t, namespace), func(l write) bool { return l.ObjectRef.Name != name })
	return stood{p.UID, p.ResourceVersion, len(w.live(t, namespace, name)), len(of)}
}

// refuses expects that a guard refuses the change of a pod, and that nothing has happened.
func (w *world) refuses(t *testing.T, namespace, name, guard string, args ...string) answer {
	t.Helper()
	before := w.stands(t, namespace, name)
	a := w.fix(t, append([]string{"pod", name, "-n", namespace}, args...)...)
	a.mustRefuse(t, guard)
	if after := w.stands(t, namespace, name); after != before {
		t.Errorf("the world before the refusal: %+v, and after it: %+v", before, after)
	}
	return a
}

// mustRefuse expects exit code 4, and the guard named, in the document and to the person.
func (a answer) mustRefuse(t *testing.T, guard string) {
	t.Helper()
	if a.Code != refused {
		t.Errorf("exit code %d, want %d\n%s\n%s", a.Code, refused, a.Out, a.ErrOut)
	}
	if v, ok := a.verdict(guard); !ok || !v.Blocks() {
		t.Errorf("guard %s does not block; verdicts: %s", guard, asJSON(a.verdicts()))
	}
	if !strings.Contains(a.ErrOut, guard) {
		t.Errorf("guard %s is not named on stderr: %s", guard, a.ErrOut)
	}
}

// warns expects a guard's word in the plan that was carried out or shown.
func (a answer) warns(t *testing.T, guard string) remedy.Verdict {
	t.Helper()
	v, ok := a.verdict(guard)
	if !ok {
		t.Errorf("guard %s says nothing; verdicts: %s", guard, asJSON(a.verdicts()))
	}
	return v
}

// must expects an exit code and a status.
func (a answer) must(t *testing.T, code int, status remedy.Status) {
	t.Helper()
	if a.Code != code || a.doc.Status != status {
		t.Fatalf("exit code %d, status %q; want %d and %q\n%s\n%s", a.Code, a.doc.Status, code, status, a.Out, a.ErrOut)
	}
}

func asJSON(v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// write is one line of the audit log.
type write struct {
	UserAgent  string `json:"userAgent"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	ObjectRef  struct {
		Resource  string `json:"resource"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject json.RawMessage `json:"requestObject"`
}

// writes are the plugin's requests that would change something in the namespace, refused ones too: what the API server's audit log has of them. Dry
// runs, questions about rights and Events are left out.
func (w *world) writes(t *testing.T, namespace string) []write {
	t.Helper()
	f, err := os.Open(w.audit)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []write
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // what has no end yet is being written, by somebody else: the log is written before the answer
			return out
		}
		var l write
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("audit log: %v\n%s", err, line)
		}
		if !strings.HasPrefix(l.UserAgent, "kubectl-stuck") || l.ObjectRef.Namespace != namespace || l.ObjectRef.Resource == "events" ||
			strings.Contains(l.RequestURI, "dryRun=All") || bytes.Contains(l.RequestObject, []byte(`"dryRun":["All"]`)) {
			continue
		}
		out = append(out, l)
	}
}

// journalOf reads the only run in a journal's folder, whole.
func journalOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, journalOf(t, dir+"/"+e.Name())...)
			continue
		}
		data, err := os.ReadFile(dir + "/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return string(all)
}

// eventually polls.
func eventually(t *testing.T, within time.Duration, do func(context.Context) error) {
	t.Helper()
	if err := bed.Poll(t.Context(), within, do); err != nil {
		t.Error(err)
	}
}

type liveContainer = cri.Running
