package room

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/room"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source/live"
	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

// Which worlds are made, and in how long at most. Without flags they are the same ones each time.
var (
	firstWorld = flag.Uint64("first-world", 0, "the seed of the first world")
	worlds     = flag.Uint64("worlds", 60, "how many worlds are made at most")
	within     = flag.Duration("within", 35*time.Second, "how long worlds are made")
)

// The least numbers of comparisons that show anything.
const (
	fewPlaced = 40
	fewStuck  = 25
)

// site is a control plane with the real scheduler, and nobody else.
type site struct {
	client  kubernetes.Interface
	backend *live.Backend
}

func start(t *testing.T) *site {
	t.Helper()
	c, err := bed.Start(t.Context(), bed.Options{NoControllerManager: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	cfg := c.Config()
	cfg.QPS, cfg.Burst = 1000, 1000
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := live.New(c.Config(), live.Options{Context: "test", Now: time.Now, Fresh: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{client: client, backend: backend}
	for name, team := range map[string]string{"shop": "red", "data": "blue"} {
		_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": team}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	never := corev1.PreemptNever
	for _, c := range []*schedulingv1.PriorityClass{
		{ObjectMeta: metav1.ObjectMeta{Name: "high"}, Value: 1000}, {ObjectMeta: metav1.ObjectMeta{Name: "calm"}, Value: 1000, PreemptionPolicy: &never},
	} {
		if _, err := client.SchedulingV1().PriorityClasses().Create(t.Context(), c, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// build makes the world.
func (s *site) build(ctx context.Context, w *world) error {
	var all errs
	create := metav1.CreateOptions{}
	for _, n := range w.nodes {
		all.do(func() error { return s.node(ctx, n) })
	}
	for _, c := range w.csiNodes {
		all.do(func() error { _, err := s.client.StorageV1().CSINodes().Create(ctx, c, create); return err })
	}
	for _, c := range w.classes {
		all.do(func() error { _, err := s.client.StorageV1().StorageClasses().Create(ctx, c, create); return err })
	}
	for _, v := range w.volumes {
		all.do(func() error { return s.volume(ctx, v) })
	}
	for _, c := range w.claims {
		all.do(func() error {
			got, err := s.client.CoreV1().PersistentVolumeClaims(c.Namespace).Create(ctx, c, create)
			if err != nil || got.Spec.VolumeName == "" {
				return err
			}
			return s.bound(ctx, got)
		})
	}
	for _, a := range w.attached {
		all.do(func() error { _, err := s.client.StorageV1().VolumeAttachments().Create(ctx, a, create); return err })
	}
	if err := all.wait(); err != nil {
		return err
	}
	for _, p := range slices.Concat(w.pods, w.movers) {
		all.do(func() error {
			got, err := s.client.CoreV1().Pods(p.Namespace).Create(ctx, p, create)
			if err != nil {
				return err
			}
			got.Status.Phase = corev1.PodRunning
			if slices.Contains(w.ended, p) {
				got.Status.Phase = corev1.PodSucceeded
			}
			if _, err := s.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, got, metav1.UpdateOptions{}); err != nil {
				return err
			}
			if slices.Contains(w.dying, p) { // there is no kubelet: it goes on dying
				return s.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{})
			}
			return nil
		})
	}
	return all.wait()
}

func (s *site) node(ctx context.Context, n *corev1.Node) error {
	got, err := s.client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	status := n.Status
	got.Status = status
	if got, err = s.client.CoreV1().Nodes().UpdateStatus(ctx, got, metav1.UpdateOptions{}); err != nil {
		return err
	}
	got.Spec.Taints = n.Spec.Taints // without that of a node that nobody has heard of yet
	if n.Spec.Unschedulable {
		got.Spec.Taints = append(slices.Clone(n.Spec.Taints), corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
	}
	_, err = s.client.CoreV1().Nodes().Update(ctx, got, metav1.UpdateOptions{})
	return err
}

func (s *site) volume(ctx context.Context, v *corev1.PersistentVolume) error {
	got, err := s.client.CoreV1().PersistentVolumes().Create(ctx, v, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	got.Status.Phase = corev1.VolumeBound
	_, err = s.client.CoreV1().PersistentVolumes().UpdateStatus(ctx, got, metav1.UpdateOptions{})
	return err
}

func (s *site) bound(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	c.Status.Phase = corev1.ClaimBound
	_, err := s.client.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, c, metav1.UpdateOptions{})
	return err
}

// clear takes everything away.
func (s *site) clear(ctx context.Context) error {
	zero := int64(0)
	now, all := metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{}
	var out []error
	for _, ns := range []string{"shop", "data"} {
		out = append(out, s.client.CoreV1().Pods(ns).DeleteCollection(ctx, now, all), s.client.CoreV1().PersistentVolumeClaims(ns).DeleteCollection(ctx, now, all))
	}
	return errors.Join(append(out,
		s.client.CoreV1().Nodes().DeleteCollection(ctx, now, all), s.client.StorageV1().CSINodes().DeleteCollection(ctx, now, all),
		s.client.StorageV1().StorageClasses().DeleteCollection(ctx, now, all), s.client.StorageV1().VolumeAttachments().DeleteCollection(ctx, now, all),
		s.client.CoreV1().PersistentVolumes().DeleteCollection(ctx, now, all),
	)...)
}

// look reads the cluster as the plugin does; also are claims of pods that are no more, as they are while there still is a pod that uses them.
func (s *site) look(ctx context.Context, also ...*corev1.PersistentVolumeClaim) (*snapshot.Snapshot, error) {
	q := source.Query{Room: []string{leaving}}
	for _, c := range also {
		q.Also = append(q.Also, snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: c.Namespace, Name: c.Name}, snapshot.Ref{Kind: snapshot.PersistentVolume, Name: volumeFor(c).Name})
	}
	return source.Load(ctx, s.backend, q)
}

// decision is what the scheduler did with a pod.
type decision struct {
	node      string
	message   string
	nominated string
}

// schedule makes the pod and waits for what the scheduler says. It makes the volume that the scheduler asks for, as a provisioner would.
func (s *site) schedule(ctx context.Context, p *corev1.Pod) (decision, error) {
	pods := s.client.CoreV1().Pods(p.Namespace)
	if _, err := pods.Create(ctx, p, metav1.CreateOptions{}); err != nil {
		return decision{}, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return decision{}, err
		}
		if got.Spec.NodeName != "" {
			return decision{node: got.Spec.NodeName}, nil
		}
		if c := snapshot.PodCondition(got, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return decision{message: c.Message, nominated: got.Status.NominatedNodeName}, nil
		}
		if err := s.provision(ctx, got); err != nil {
			return decision{}, err
		}
	}
	return decision{}, fmt.Errorf("the scheduler said nothing of pod %s/%s in %s", p.Namespace, p.Name, patience)
}

func (s *site) provision(ctx context.Context, p *corev1.Pod) error {
	for _, v := range p.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		c, err := s.client.CoreV1().PersistentVolumeClaims(p.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if c.Spec.VolumeName != "" || c.Annotations["volume.kubernetes.io/selected-node"] == "" {
			continue
		}
		if err := s.volume(ctx, volumeFor(c)); err != nil {
			return err
		}
		c.Spec.VolumeName = volumeFor(c).Name
		c.Annotations["pv.kubernetes.io/bind-completed"] = "yes"
		if c, err = s.client.CoreV1().PersistentVolumeClaims(p.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil {
			return err
		}
		if err := s.bound(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// delete deletes a pod at once, as PodGC does.
func (s *site) delete(ctx context.Context, p *corev1.Pod) error {
	zero := int64(0)
	err := s.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// score counts what was compared.
type score struct {
	worlds, wholeAgreed      int
	placed, pending, preempt int
	words                    int
	movers, moversAgreed     int
}

func TestTheSchedulerDoesWhatWasForetold(t *testing.T) {
	s, sum := start(t), score{}
	end := time.Now().Add(*within)
	for seed := *firstWorld; seed < *firstWorld+*worlds && time.Now().Before(end) && s.compare(t, seed, &sum); seed++ {
		sum.worlds++
	}
	t.Logf("%d worlds: pod by pod %d placed and %d left Pending as foretold, %d of those with the scheduler's own words, %d by preemption; all at once %d of %d pods in %d worlds agreed wholly",
		sum.worlds, sum.placed, sum.pending, sum.words, sum.preempt, sum.moversAgreed, sum.movers, sum.wholeAgreed)
	if sum.moversAgreed*100 < sum.movers*90 {
		t.Errorf("all at once only %d of %d pods agreed: the forecast of many pods is worth little", sum.moversAgreed, sum.movers)
	}
	if sum.placed < fewPlaced || sum.pending < fewStuck {
		t.Errorf("too few comparisons to show anything: %d placed, %d pending", sum.placed, sum.pending)
	}
}

// compare makes a world, foretells, and lets the scheduler decide. Pod by pod, on the picture as it is then, both must agree: whether there is a node,
// in which words it is said that there is none, and whether others have to give way. All at once they need not, since the scheduler chooses other nodes.
func (s *site) compare(t *testing.T, seed uint64, sum *score) bool {
	t.Helper()
	ctx := t.Context()
	w := newWorld(seed)
	fail := func(format string, args ...any) bool {
		t.Helper()
		t.Errorf("world %d: "+format, append([]any{seed}, args...)...)
		return false
	}
	if err := s.clear(ctx); err != nil {
		return fail("clearing: %v", err)
	}
	if err := s.build(ctx, w); err != nil {
		return fail("building: %v", err)
	}
	picture, err := s.look(ctx)
	if err != nil {
		return fail("reading: %v", err)
	}
	pods, all := picture.PodsOnNode(leaving)
	if !all || len(pods) != len(w.movers) {
		return fail("%d pods of the node were read, all=%v; it has %d", len(pods), all, len(w.movers))
	}
	whole := room.Fit(picture, leaving, pods)
	if len(whole.Unknown) > 0 || len(whole.Places)+len(whole.Pending) != len(pods) {
		return fail("in a cluster that was read whole, all can be told: %+v", whole)
	}
	foretold := map[string]bool{}
	for _, p := range whole.Places {
		foretold[p.Pod.Name] = true
	}
	for _, p := range pods {
		if err := s.delete(ctx, p); err != nil {
			return fail("deleting: %v", err)
		}
	}
	if err := s.client.CoreV1().Nodes().Delete(ctx, leaving, metav1.DeleteOptions{}); err != nil {
		return fail("deleting the node: %v", err)
	}
	ok, agreed := true, 0
	for _, m := range queue(w.movers) {
		again := copyOf(m)
		picture, err := s.look(ctx, w.claims...)
		if err != nil {
			return fail("reading: %v", err)
		}
		read := slices.IndexFunc(pods, func(p *corev1.Pod) bool { return p.Name == m.Name })
		told := room.Fit(picture, leaving, []*corev1.Pod{pods[read]})
		did, err := s.schedule(ctx, again)
		if err != nil {
			return fail("%v", err)
		}
		sum.movers++
		if foretold[m.Name] == (did.node != "") {
			agreed++
		}
		switch {
		case len(told.Unknown) > 0:
			ok = fail("pod %s: nothing was told: %+v", m.Name, told.Unknown)
		case did.node != "" && len(told.Places) == 0:
			ok = fail("pod %s was to stay Pending (%s), and went to %s", m.Name, told.Pending[0].Why, did.node)
		case did.node == "" && len(told.Pending) == 0:
			ok = fail("pod %s was to go to %s, and stays Pending: %s", m.Name, told.Places[0].Node, did.message)
		case did.node != "":
			sum.placed++
			if why := refuses(t, picture, pods[read], did.node); why != "" {
				ok = fail("pod %s went to %s, of which it was foretold: %s", m.Name, did.node, why)
			}
		default:
			sum.pending++
			if words, _, _ := strings.Cut(did.message, " preemption:"); strings.HasPrefix(told.Pending[0].Why, strings.TrimSpace(words)) {
				sum.words++
			} else {
				ok = fail("pod %s stays Pending for another reason:\n  foretold: %s\n  said:     %s", m.Name, told.Pending[0].Why, did.message)
			}
			if told.Pending[0].Preempts != (did.nominated != "") {
				ok = fail("pod %s: others give way: foretold %v, nominated %q: %s", m.Name, told.Pending[0].Preempts, did.nominated, did.message)
			} else if did.nominated != "" {
				sum.preempt++
			}
			if err := s.delete(ctx, again); err != nil {
				return fail("deleting: %v", err)
			}
		}
	}
	sum.moversAgreed += agreed
	if agreed == len(w.movers) {
		sum.wholeAgreed++
	}
	return ok
}

// refuses tells why Fit would not have the pod on the node that the scheduler took: it is asked again with all other nodes cordoned. A pod that tolerates
// that is not asked about.
func refuses(t *testing.T, s *snapshot.Snapshot, p *corev1.Pod, node string) string {
	t.Helper()
	if snapshot.Tolerates(p, &corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return ""
	}
	b := snapshot.NewBuilder()
	for _, i := range snapshot.Kinds() {
		for _, o := range s.Objects(i.Kind) {
			if n, ok := o.(*corev1.Node); ok && n.Name != node {
				n = n.DeepCopy()
				n.Spec.Unschedulable = true
				o = n
			}
			b.Add(o)
		}
	}
	s.Coverage().Apply(b)
	alone, err := b.Build(s.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r := room.Fit(alone, leaving, []*corev1.Pod{p}); len(r.Places) != 1 || r.Places[0].Node != node {
		return fmt.Sprintf("%+v", r)
	}
	return ""
}

// queue orders the movers as Fit does: by priority and then by age, which is that of their making here.
func queue(movers []*corev1.Pod) []*corev1.Pod {
	out := slices.Clone(movers)
	slices.SortStableFunc(out, func(a, b *corev1.Pod) int {
		high := func(p *corev1.Pod) bool { return p.Spec.PriorityClassName != "" }
		switch {
		case high(a) && !high(b):
			return -1
		case high(b) && !high(a):
			return 1
		}
		return 0
	})
	return out
}

// errs runs tasks, a few at a time, and gathers their errors.
type errs struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	list []error
}

func (e *errs) do(task func() error) {
	e.wg.Go(func() {
		if err := task(); err != nil {
			e.mu.Lock()
			e.list = append(e.list, err)
			e.mu.Unlock()
		}
	})
}

func (e *errs) wait() error {
	e.wg.Wait()
	err := errors.Join(e.list...)
	e.list = nil
	return err
}
