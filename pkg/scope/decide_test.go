package scope_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// cluster is a picture in the making.
type cluster struct {
	t      *testing.T
	b      *snapshot.Builder
	census snapshot.Census
	n      int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, b: snapshot.NewBuilder()}
	for _, k := range snapshot.Kinds() {
		c.b.SetComplete(k.Kind, "")
	}
	return c
}

func (c *cluster) add(o runtime.Object) {
	c.t.Helper()
	if !c.b.Add(o) {
		c.t.Fatalf("a snapshot does not hold %T", o)
	}
}

func (c *cluster) node(name string, ready corev1.ConditionStatus, lease time.Duration) {
	c.add(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastTransitionTime: ago(time.Hour), Reason: "R"}}},
	})
	c.add(&coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: now.Add(-lease)}},
	})
}

func (c *cluster) zoned(name string, ready corev1.ConditionStatus, lease time.Duration, zone string) {
	c.node(name, ready, lease)
	c.add(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, LastTransitionTime: ago(time.Hour)}}},
	})
}

func zones(c *cluster, n int, ready corev1.ConditionStatus, zone string) {
	lease := time.Second
	if ready != corev1.ConditionTrue {
		lease = 10 * time.Minute
	}
	for i := range n {
		c.zoned(fmt.Sprint(zone, "-", i), ready, lease, zone)
	}
}

// pod adds a pod of a workload and returns its name.
func (c *cluster) pod(node, workload string, change func(*corev1.Pod)) string {
	c.n++
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: fmt.Sprintf("%s-%d", workload, c.n), UID: types.UID(fmt.Sprint(c.n)), CreationTimestamp: ago(time.Hour),
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: workload, Controller: &yes}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "app", Image: "registry.example.com/app:1"}}},
	}
	change(p)
	st := snapshot.StatusOf(p)
	c.census.Add(node, st.Word, st.Ready, st.Containers)
	c.add(p)
	return p.Name
}

func (c *cluster) decide(explained map[string]scope.Explanation) scope.Result {
	c.t.Helper()
	c.b.SetCensus(c.census)
	s, err := c.b.Build(now)
	if err != nil {
		c.t.Fatal(err)
	}
	found := stuck.Find(s, stuck.Options{})
	by := map[snapshot.Ref]scope.Explanation{}
	for _, p := range found.Stuck {
		if e, ok := explained[p.Ref.Name]; ok {
			by[p.Ref] = e
		}
	}
	return scope.Decide(s, found, by)
}

func starting(since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodPending
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}}
	}
}

func well(since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(since)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(since)}}}}
	}
}

func ending(since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		well(time.Hour)(p)
		t, grace := ago(since), int64(30)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &t, &grace
	}
}

func held(since time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		t, grace := ago(since), int64(0)
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds, p.Finalizers = &t, &grace, []string{"example.com/hold"}
		p.Status.Phase = corev1.PodSucceeded
	}
}

func on(server string, f func(*corev1.Pod)) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		f(p)
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: server, Path: "/data"}}}}
	}
}

func (c *cluster) many(n int, node, workload string, f func(*corev1.Pod)) {
	for range n {
		c.pod(node, workload, f)
	}
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		build     func(*cluster) map[string]scope.Explanation
		node      string
		reach     scope.Reach
		conf      scope.Confidence
		says      string // in why
		decides   bool
		pods      map[string]scope.Reach // by the workload's name
		sharedBy  string
		noShared  bool
		unhealthy int
	}{
		"many workloads starting and ending, and nothing moved, is the node, although it says Ready": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("bad", corev1.ConditionTrue, 4*time.Second)
				c.node("good", corev1.ConditionTrue, 4*time.Second)
				c.many(3, "bad", "cart", ending(10*time.Minute))
				c.many(3, "bad", "pay", starting(9*time.Minute))
				c.many(2, "bad", "mail", starting(9*time.Minute))
				c.many(2, "bad", "old", well(time.Hour))
				return nil
			},
			node: "bad", reach: scope.ReachNode, conf: scope.Certain, says: "8 of 10 pods on it are stuck, of 3 workloads: 5 starting, 3 ending", noShared: true,
		},
		"one pod of many, while others became Ready since, is the pod": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, 4*time.Second)
				c.many(1, "n", "cart", ending(10*time.Minute))
				c.many(3, "n", "pay", well(2*time.Minute))
				return nil
			},
			node: "n", reach: scope.ReachPod, conf: scope.Likely, says: "3 became Ready",
		},
		"one pod, and nothing moved either way, is undecided and says what would decide": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, 4*time.Second)
				c.many(1, "n", "cart", ending(10*time.Minute))
				c.many(3, "n", "pay", well(time.Hour))
				return nil
			},
			node: "n", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"two workloads in one direction, with nothing moved, is likely the node": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, 4*time.Second)
				c.many(1, "n", "cart", starting(10*time.Minute))
				c.many(1, "n", "pay", starting(10*time.Minute))
				return nil
			},
			node: "n", reach: scope.ReachNode, conf: scope.Likely,
		},
		"two workloads hang while the node starts others is undecided": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, 4*time.Second)
				c.many(1, "n", "cart", starting(10*time.Minute))
				c.many(1, "n", "pay", starting(10*time.Minute))
				c.many(4, "n", "mail", well(time.Minute))
				return nil
			},
			node: "n", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"an unreachable node is the node, but not for the pod that a finalizer holds": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("bad", corev1.ConditionUnknown, 10*time.Minute)
				c.node("a", corev1.ConditionTrue, time.Second)
				c.node("b", corev1.ConditionTrue, time.Second)
				c.many(1, "bad", "cart", ending(5*time.Minute))
				c.many(1, "bad", "batch", held(5*time.Minute))
				return nil
			},
			node: "bad", reach: scope.ReachNode, conf: scope.Certain, says: "does not answer",
			pods: map[string]scope.Reach{"cart": scope.ReachNode, "batch": scope.ReachPod},
		},
		"a stale lease convicts a node that still says Ready": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("bad", corev1.ConditionTrue, 70*time.Second)
				c.node("a", corev1.ConditionTrue, time.Second)
				c.many(1, "bad", "cart", ending(5*time.Minute))
				return nil
			},
			node: "bad", reach: scope.ReachNode, conf: scope.Likely, says: "lease renewed 70s ago",
		},
		"leases that are all equally old say nothing": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, 10*time.Minute)
				c.node("m", corev1.ConditionTrue, 10*time.Minute)
				c.many(1, "n", "cart", ending(5*time.Minute))
				return nil
			},
			node: "n", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"a pod held by a finalizer is the pod's, on any node": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, time.Second)
				c.many(1, "n", "batch", held(5*time.Minute))
				return nil
			},
			node: "n", reach: scope.ReachPod, conf: scope.Likely, says: "held by finalizers only",
		},
		"two workloads on three nodes that share a dead volume server are shared, not three broken nodes": {
			build: func(c *cluster) map[string]scope.Explanation {
				for _, n := range []string{"n1", "n2", "n3"} {
					c.node(n, corev1.ConditionTrue, time.Second)
					c.pod(n, "cart", on("files.example.com", starting(10*time.Minute)))
					c.pod(n, "pay", on("files.example.com", starting(10*time.Minute)))
					c.pod(n, "mail", well(time.Hour))
				}
				return nil
			},
			node: "n1", reach: scope.ReachShared, conf: scope.Likely, sharedBy: "NFS files.example.com",
			pods: map[string]scope.Reach{"cart": scope.ReachShared, "pay": scope.ReachShared},
		},
		"a server from which others started since is not to blame, the workload on it is": {
			build: func(c *cluster) map[string]scope.Explanation {
				for _, n := range []string{"n1", "n2"} {
					c.node(n, corev1.ConditionTrue, time.Second)
					c.pod(n, "cart", on("files.example.com", starting(10*time.Minute)))
				}
				c.pod("n1", "mail", on("files.example.com", well(time.Minute)))
				return nil
			},
			node: "n2", reach: scope.ReachPod, conf: scope.Likely, sharedBy: "statefulset shop/cart",
		},
		"all nodes of one zone and no other is the zone, not each of them": {
			build: func(c *cluster) map[string]scope.Explanation {
				zones(c, 3, corev1.ConditionUnknown, "eu-1a")
				zones(c, 4, corev1.ConditionTrue, "eu-1b")
				for i := range 3 {
					c.many(1, fmt.Sprint("eu-1a-", i), "cart", ending(5*time.Minute))
				}
				return nil
			},
			node: "eu-1a-1", reach: scope.ReachShared, conf: scope.Likely, sharedBy: "eu-1a", says: "3 of the 3 nodes with zone eu-1a are broken, and 0 of the 4 others",
			pods: map[string]scope.Reach{"cart": scope.ReachShared},
		},
		"some nodes of a zone are just nodes": {
			build: func(c *cluster) map[string]scope.Explanation {
				zones(c, 3, corev1.ConditionUnknown, "eu-1a")
				zones(c, 4, corev1.ConditionTrue, "eu-1b")
				c.zoned("eu-1a-9", corev1.ConditionTrue, time.Second, "eu-1a")
				for i := range 3 {
					c.many(1, fmt.Sprint("eu-1a-", i), "cart", ending(5*time.Minute))
				}
				return nil
			},
			node: "eu-1a-1", reach: scope.ReachNode, conf: scope.Certain,
		},
		"a pod that has hung for weeks does not vouch for the node": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, time.Second)
				c.many(1, "n", "old", ending(30*24*time.Hour))
				c.many(1, "n", "cart", ending(8*time.Minute))
				c.many(1, "n", "pay", starting(8*time.Minute))
				c.many(9, "n", "mail", well(5*24*time.Hour))
				return nil
			},
			node: "n", reach: scope.ReachNode, conf: scope.Certain, says: "none became Ready or went away since 8m ago",
		},
		"two pods half a minute late on a quiet node are no verdict": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, time.Second)
				c.many(1, "n", "cart", ending(35*time.Second))
				c.many(1, "n", "pay", ending(35*time.Second))
				c.many(9, "n", "mail", well(time.Hour))
				return nil
			},
			node: "n", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"pods whose images are being pulled are no evidence": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, time.Second)
				for _, w := range []string{"cart", "pay"} {
					name := c.pod("n", w, starting(11*time.Minute))
					c.add(&corev1.Event{
						ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "pull-" + name},
						InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: name},
						Reason:         "Pulling", Source: corev1.EventSource{Component: "kubelet"}, LastTimestamp: ago(11 * time.Minute),
					})
				}
				return nil
			},
			node: "n", reach: scope.ReachPod, conf: scope.Likely,
		},
		"all nodes not ready for one reason is the cluster's": {
			build: func(c *cluster) map[string]scope.Explanation {
				for i := range 4 {
					c.node(fmt.Sprint("n", i), corev1.ConditionFalse, time.Second)
				}
				c.many(1, "n1", "cart", starting(5*time.Minute))
				return nil
			},
			node: "n1", reach: scope.ReachCluster, conf: scope.Likely, says: "4 of 4 nodes at once are not ready", unhealthy: 4,
		},
		"most leases stale at once is the cluster's, although the nodes say Ready": {
			build: func(c *cluster) map[string]scope.Explanation {
				for i := range 9 {
					c.node(fmt.Sprint("n", i), corev1.ConditionTrue, 5*time.Minute)
				}
				c.node("n9", corev1.ConditionTrue, time.Second)
				c.many(1, "n1", "cart", ending(4*time.Minute))
				return nil
			},
			node: "n1", reach: scope.ReachCluster, conf: scope.Likely, says: "9 of 10 nodes at once do not answer", unhealthy: 9,
		},
		"in a storm a pod held by a finalizer is still only that": {
			build: func(c *cluster) map[string]scope.Explanation {
				for i := range 4 {
					c.node(fmt.Sprint("n", i), corev1.ConditionUnknown, 10*time.Minute)
				}
				c.many(1, "n1", "batch", held(5*time.Minute))
				return nil
			},
			node: "n1", reach: scope.ReachPod, conf: scope.Likely,
		},
		"a node that is not in the list and whose pods are well is rather missed than missing": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("other", corev1.ConditionTrue, time.Second)
				c.many(1, "n", "cart", ending(5*time.Minute))
				c.many(4, "n", "pay", well(time.Hour))
				return nil
			},
			node: "n", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"pods of missing nodes that nobody removes, for want of a controller, are the cluster's": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("other", corev1.ConditionTrue, time.Second)
				name := c.pod("n", "cart", ending(30*time.Minute))
				return map[string]scope.Explanation{name: {Reach: scope.ReachCluster, Via: snapshot.Ref{Kind: snapshot.Lease, Name: "kcm"}, Likely: true}}
			},
			node: "n", reach: scope.ReachCluster, conf: scope.Likely,
		},
		"one workload on a server that many others use well does not convict the server": {
			build: func(c *cluster) map[string]scope.Explanation {
				for _, n := range []string{"n1", "n2"} {
					c.node(n, corev1.ConditionTrue, time.Second)
					c.pod(n, "cart", on("files.example.com", starting(10*time.Minute)))
					c.many(10, n, "mail", on("files.example.com", well(time.Hour)))
				}
				return nil
			},
			node: "n1", reach: scope.ReachUndecided, conf: scope.Possible, decides: true,
		},
		"most nodes silent at once is the cluster's": {
			build: func(c *cluster) map[string]scope.Explanation {
				for i := range 5 {
					state, lease := corev1.ConditionUnknown, 10*time.Minute
					if i == 0 {
						state, lease = corev1.ConditionTrue, time.Second
					}
					c.node(fmt.Sprint("n", i), state, lease)
				}
				c.many(1, "n1", "cart", ending(5*time.Minute))
				return nil
			},
			node: "n1", reach: scope.ReachCluster, conf: scope.Likely, says: "4 of 5 nodes", unhealthy: 4,
		},
		"pods that have their own reason for certain are no evidence against the node": {
			build: func(c *cluster) map[string]scope.Explanation {
				c.node("n", corev1.ConditionTrue, time.Second)
				own := map[string]scope.Explanation{}
				for _, w := range []string{"cart", "pay", "mail"} {
					name := c.pod("n", w, starting(10*time.Minute))
					own[name] = scope.Explanation{Reach: scope.ReachPod, Via: snapshot.Ref{Kind: snapshot.ConfigMap, Namespace: "shop", Name: w}, Certain: true}
				}
				return own
			},
			node: "n", reach: scope.ReachPod, conf: scope.Certain,
		},
		"two workloads that lack the same object share it": {
			build: func(c *cluster) map[string]scope.Explanation {
				own := map[string]scope.Explanation{}
				for _, w := range []string{"cart", "pay"} {
					c.node("on-"+w, corev1.ConditionTrue, time.Second)
					name := c.pod("on-"+w, w, starting(10*time.Minute))
					own[name] = scope.Explanation{Reach: scope.ReachPod, Via: snapshot.Ref{Kind: snapshot.ConfigMap, Namespace: "shop", Name: "settings"}, Certain: true}
				}
				return own
			},
			node: "on-cart", reach: scope.ReachShared, conf: scope.Certain, sharedBy: "shop/settings",
		},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			r := cl.decide(c.build(cl))
			var g *scope.Group
			for i := range r.Groups {
				if r.Groups[i].Node == c.node {
					g = &r.Groups[i]
				}
			}
			if g == nil {
				t.Fatalf("no group for node %s: %+v", c.node, r.Groups)
			}
			if g.Reach != c.reach || g.Confidence != c.conf {
				t.Errorf("got %s (%s), want %s (%s); why: %q", g.Reach, g.Confidence, c.reach, c.conf, g.Why)
			}
			if why := strings.Join(g.Why, "\n"); !strings.Contains(why, c.says) {
				t.Errorf("why does not say %q:\n%s", c.says, why)
			}
			if (g.Decide != "") != c.decides {
				t.Errorf("what would decide: %q", g.Decide)
			}
			for _, p := range g.Stuck {
				w := p.Owner.Name
				if want, ok := c.pods[w]; ok && r.Pods[p.Ref].Reach != want {
					t.Errorf("pod of %s: reach %s, want %s", w, r.Pods[p.Ref].Reach, want)
				}
			}
			if c.sharedBy != "" && (len(r.Shared) != 1 || r.Shared[0].Name != c.sharedBy) {
				t.Errorf("shared: %+v, want one: %s", r.Shared, c.sharedBy)
			}
			if c.noShared && len(r.Shared) != 0 {
				t.Errorf("shared: %+v, want none", r.Shared)
			}
			if c.unhealthy != 0 && r.Unhealthy != c.unhealthy {
				t.Errorf("%d unhealthy, want %d", r.Unhealthy, c.unhealthy)
			}
		})
	}
}

func TestGroupsComeWorstFirst(t *testing.T) {
	c := newCluster(t)
	c.node("a", corev1.ConditionTrue, time.Second)
	c.node("b", corev1.ConditionUnknown, time.Hour)
	c.node("c", corev1.ConditionTrue, time.Second)
	c.many(5, "a", "batch", held(time.Hour))
	c.many(1, "b", "cart", ending(time.Hour))
	r := c.decide(nil)
	if len(r.Groups) != 2 || r.Groups[0].Node != "b" {
		t.Errorf("got %+v", r.Groups)
	}
}
