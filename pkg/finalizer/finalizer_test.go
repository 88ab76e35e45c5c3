package finalizer_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

var taken = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(taken.Add(-d)) }

// world is a picture in the making.
type world struct {
	objects []runtime.Object
	unread  []snapshot.Kind
}

func (w *world) add(o ...runtime.Object) *world { w.objects = append(w.objects, o...); return w }

// beating adds a node that renews its lease: the picture's clock runs.
func (w *world) beating() *world { return w.add(lease("kube-node-lease", "n", "n", 3*time.Second)) }

func (w *world) snapshot(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	b := snapshot.NewBuilder()
	for _, o := range w.objects {
		if !b.Add(o) {
			t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	for _, i := range snapshot.Kinds() {
		if slices.Contains(w.unread, i.Kind) {
			b.AddGap(snapshot.Gap{Kind: i.Kind, Reason: snapshot.ReasonForbidden, Detail: "no"})
		} else {
			b.SetComplete(i.Kind, "")
		}
	}
	s, err := b.Build(taken)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// held is a pod that was deleted half an hour ago and is held by a finalizer that the manager set.
func held(f, manager string) *corev1.Pod {
	at := ago(30 * time.Minute)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", DeletionTimestamp: &at, Finalizers: []string{f}}}
	if manager != "" {
		set := ago(time.Hour)
		p.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, Time: &set, FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(fmt.Sprintf(`{"f:metadata":{"f:finalizers":{".":{},"v:\"%s\"":{}}}}`, f)),
		}}
	}
	return p
}

func deployment(namespace, name string, wanted, available int32, containers ...corev1.Container) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	d.Spec.Replicas, d.Status.AvailableReplicas = &wanted, available
	d.Spec.Template.Spec.Containers = containers
	if wanted > 0 && available == 0 {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, LastTransitionTime: ago(20 * time.Minute)}}
	}
	return d
}

func statefulSet(namespace, name string, wanted, ready int32) *appsv1.StatefulSet {
	d := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	d.Spec.Replicas, d.Status.ReadyReplicas = &wanted, ready
	return d
}

func container(name, image string) corev1.Container {
	return corev1.Container{Name: name, Image: image}
}

func lease(namespace, name, holder string, age time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &metav1.MicroTime{Time: taken.Add(-age)}},
	}
}

func crd(name string, annotations map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}, ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
	}
}

func TestOwners(t *testing.T) {
	helm := map[string]string{"meta.helm.sh/release-name": "edge", "meta.helm.sh/release-namespace": "edge-system"}
	managed := deployment("edge-system", "traffic-controller", 1, 1, container("main", "registry.example/edge/core:1"))
	managed.Annotations = helm
	for name, c := range map[string]struct {
		finalizer, manager string
		world              func(*world)
		alive              finalizer.Alive
		sure               diagnose.Confidence
		how, controller    string
		why                string
	}{
		"its Deployment has no replicas, and its lease is old": {
			finalizer: "kueue.x-k8s.io/managed", manager: "kueue", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("kueue-system", "kueue-controller-manager", 0, 0), lease("kueue-system", "c1f6bfd2.kueue.x-k8s.io", "kueue-controller-manager-7d_1", 2*time.Hour))
			},
			controller: "deployment kueue-system/kueue-controller-manager", why: "is scaled to 0 replicas, and its lease was last renewed 2h ago",
		},
		"its pods crash": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("kueue-system", "kueue-controller-manager", 2, 0), crd("workloads.kueue.x-k8s.io", nil))
			},
			controller: "deployment kueue-system/kueue-controller-manager", why: "none of its 2 pods is available, for 20m",
		},
		"it runs and waits": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Slow, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("kueue-system", "kueue-controller-manager", 1, 1), lease("kueue-system", "c1f6bfd2.kueue.x-k8s.io", "kueue-controller-manager-7d_1", 3*time.Second))
			},
			controller: "deployment kueue-system/kueue-controller-manager", why: "its pod is available and its lease was renewed 3s ago, and the object has waited for 30m",
		},
		"another part of the project runs, and not the controller": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("kueue-system", "kueue-controller-manager", 0, 0), deployment("kueue-system", "kueue-kueueviz-backend", 1, 1, container("backend", "registry.example/kueue/kueueviz-backend:1")))
			},
			controller: "deployment kueue-system/kueue-controller-manager",
		},
		"it was uninstalled": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) { w.beating() }, why: "no CustomResourceDefinition of kueue.x-k8s.io: it was uninstalled",
		},
		"its workload is gone, and its definitions are not": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) { w.beating().add(crd("workloads.kueue.x-k8s.io", nil)) }, why: "although its CustomResourceDefinitions are still there",
		},
		"definitions cannot be read": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.beating(); w.unread = []snapshot.Kind{snapshot.CustomResourceDefinition} }, why: "whether its CustomResourceDefinitions are installed could not be read",
		},
		"workloads cannot be read": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.beating(); w.unread = []snapshot.Kind{snapshot.Deployment} }, why: "the workloads of the cluster could not be read in full",
		},
		"workloads cannot be read, and its lease is renewed": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Slow, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(lease("kueue-system", "c1f6bfd2.kueue.x-k8s.io", "x_1", 3*time.Second))
				w.unread = []snapshot.Kind{snapshot.Deployment}
			}, why: "its lease kueue-system/c1f6bfd2.kueue.x-k8s.io was renewed 3s ago",
		},
		"it is down, and somebody renews its lease": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) {
				w.beating().add(deployment("kueue-system", "kueue-controller-manager", 0, 0), lease("kueue-system", "c1f6bfd2.kueue.x-k8s.io", "x_1", 3*time.Second))
			},
			controller: "deployment kueue-system/kueue-controller-manager", why: "and yet the lease",
		},
		"a controller of no known project, called like who wrote the finalizer, has no replicas": {
			finalizer: "lb.example.com/cleanup", manager: "lb-operator", how: finalizer.ByWriter, alive: finalizer.Gone, sure: diagnose.Likely,
			world:      func(w *world) { w.beating().add(deployment("infra", "lb-operator", 0, 0)) },
			controller: "deployment infra/lb-operator", why: "is scaled to 0 replicas",
		},
		"nothing is called like who wrote it": {
			finalizer: "lb.example.com/cleanup", manager: "lb-operator", how: finalizer.ByWriter, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) { w.beating() }, why: `is called like "lb-operator"`,
		},
		"a sibling of the writer's is down, and what runs the writer is up": {
			finalizer: "lb.example.com/cleanup", manager: "lb-operator", how: finalizer.ByWriter, alive: finalizer.Slow, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(deployment("infra", "lb-operator-webhook", 0, 0), deployment("infra", "core", 1, 1, container("lb-operator", "registry.example/lb:1")))
			},
			controller: "deployment infra/core", why: "its pod is available",
		},
		"a sibling of the writer's is up, and the writer's own is down": {
			finalizer: "lb.example.com/cleanup", manager: "lb-operator", how: finalizer.ByWriter, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(deployment("infra", "lb-operator", 0, 0), deployment("infra", "lb-operator-webhook", 1, 1))
			},
			controller: "deployment infra/lb-operator", why: "is scaled to 0 replicas",
		},
		"the writer is down, and a controller of the finalizer's domain runs": {
			finalizer: "quota.acmegrid.dev/hold", manager: "spark-operator", how: finalizer.ByNone, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) {
				w.beating().add(deployment("spark", "spark-operator", 0, 0), deployment("acmegrid", "acmegrid-controller", 1, 1))
			}, why: "deployment acmegrid/acmegrid-controller, which is called like its domain, runs",
		},
		"a writer that is not called as controllers are": {
			finalizer: "lb.example.com/cleanup", manager: "billing-ui", how: finalizer.ByNone, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.beating() }, why: `"billing-ui", which wrote the finalizer, tells nothing`,
		},
		"of a StatefulSet it is not recorded since when it is down": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world:      func(w *world) { w.beating().add(statefulSet("kueue-system", "kueue-controller-manager", 1, 0)) },
			controller: "statefulset kueue-system/kueue-controller-manager", why: "its pod is not available",
		},
		"the lease of an earlier installation proves nothing": {
			finalizer: "workflows.argoproj.io/status", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(crd("workflows.argoproj.io", nil), lease("argo-old", "workflow-controller", "x_1", 900*time.Hour), deployment("argo", "argo-wf", 1, 1, container("controller", "registry.example/argo-ctl:3")))
			}, why: "although its CustomResourceDefinitions are still there",
		},
		"a stranger whose name ends so": {
			finalizer: "prow.x-k8s.io/gcsk8sreporter", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(crd("prowjobs.prow.k8s.io", nil), deployment("game", "town-crier", 1, 1, container("app", "registry.example/game/town-crier:1")))
			}, why: "no Deployment, StatefulSet or DaemonSet of its name exists",
		},
		"a release before the name, and the container is called so": {
			finalizer: "prow.x-k8s.io/gcsk8sreporter", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("ci", "main-crier", 0, 0, container("crier", "registry.example/x:1")))
			},
			controller: "deployment ci/main-crier", why: "is scaled to 0 replicas",
		},
		"a longer name ends so, and nothing else agrees": {
			finalizer: "kueue.x-k8s.io/managed", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world:      func(w *world) { w.beating().add(deployment("q", "my-kueue-controller-manager", 0, 0)) },
			controller: "deployment q/my-kueue-controller-manager", why: "is scaled to 0 replicas",
		},
		"of two installations that of the object's namespace is down": {
			finalizer: "workflows.argoproj.io/status", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Likely,
			world: func(w *world) {
				w.beating().add(deployment("shop", "workflow-controller", 0, 0), deployment("other", "workflow-controller", 1, 1), lease("other", "workflow-controller", "workflow-controller-1", time.Second))
			},
			controller: "deployment shop/workflow-controller", why: "is scaled to 0 replicas",
		},
		"of two installations elsewhere one is down": {
			finalizer: "workflows.argoproj.io/status", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) {
				w.beating().add(deployment("a", "workflow-controller", 0, 0), deployment("b", "workflow-controller", 1, 1))
			}, why: "of deployment b/workflow-controller 1 pods are available, of deployment a/workflow-controller none",
		},
		"a manager named manager": {
			finalizer: "lb.example.com/cleanup", manager: "manager", how: finalizer.ByNone, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.beating().add(deployment("infra", "manager", 0, 0)) }, why: `"manager", which wrote the finalizer, tells nothing of the owner`,
		},
		"the definitions and the controller came with one Helm release": {
			finalizer: "routes.edge.example.com/finalizer", manager: "manager", how: finalizer.ByGroup, alive: finalizer.Slow, sure: diagnose.Certain,
			world:      func(w *world) { w.beating().add(crd("routes.edge.example.com", helm), managed) },
			controller: "deployment edge-system/traffic-controller",
		},
		"a controller has a word of the domain in its name, and is no proof": {
			finalizer: "hold.acmegrid.example/x", how: finalizer.ByName, alive: finalizer.Unknown, sure: diagnose.Possible,
			world:      func(w *world) { w.beating().add(deployment("infra", "acmegrid-operator", 0, 0)) },
			controller: "deployment infra/acmegrid-operator", why: "a guess by its name",
		},
		"what may run outside is never gone for want of a workload": {
			finalizer: "karpenter.sh/termination", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.beating() }, why: "it may run outside",
		},
		"a driver's controller": {
			finalizer: "external-attacher/disk-csi-example-com", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(deployment("kube-system", "disk-csi-controller", 0, 0, container("csi-attacher", "registry.example/csi-attacher:1")),
					deployment("kube-system", "file-csi-controller", 1, 1, container("csi-attacher", "registry.example/csi-attacher:1")))
			},
			controller: "deployment kube-system/disk-csi-controller",
		},
		"a part of Kubernetes whose lease is renewed": {
			finalizer: "batch.kubernetes.io/job-tracking", how: finalizer.ByTable, alive: finalizer.Slow, sure: diagnose.Certain,
			world: func(w *world) { w.beating().add(lease("kube-system", "kube-controller-manager", "a", 4*time.Second)) },
		},
		"a part of Kubernetes that stopped": {
			finalizer: "batch.kubernetes.io/job-tracking", how: finalizer.ByTable, alive: finalizer.Gone, sure: diagnose.Certain,
			world: func(w *world) {
				w.beating().add(lease("kube-system", "kube-controller-manager", "a", 20*time.Minute))
			}, why: "has not renewed its lease for 20m",
		},
		"time stood still": {
			finalizer: "batch.kubernetes.io/job-tracking", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) {
				w.add(lease("kube-node-lease", "n", "n", 20*time.Minute), lease("kube-system", "kube-controller-manager", "a", 20*time.Minute))
			}, why: "so is every other",
		},
		"the lease of Kubernetes could not be read": {
			finalizer: "foregroundDeletion", how: finalizer.ByTable, alive: finalizer.Unknown, sure: diagnose.Possible,
			world: func(w *world) { w.unread = []snapshot.Kind{snapshot.Lease} }, why: "could not be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			c.world(w)
			p := held(c.finalizer, c.manager)
			o := finalizer.Of(w.snapshot(t), snapshot.RefOf(p), p, c.finalizer)
			if o.Alive != c.alive || o.Sure != c.sure || o.How != c.how {
				t.Errorf("%s, %s, found by %s; want %s, %s, %s (%s)", o.Alive, o.Sure, o.How, c.alive, c.sure, c.how, o.Why)
			}
			got := ""
			if o.Controller != nil {
				got = o.Controller.String()
			}
			if got != c.controller {
				t.Errorf("controller %q, want %q", got, c.controller)
			}
			if !strings.Contains(o.Why, c.why) || o.Why == "" {
				t.Errorf("why: %q, want %q", o.Why, c.why)
			}
			if len(o.Evidence) == 0 || o.Evidence[0].Value != c.finalizer {
				t.Errorf("evidence: %+v", o.Evidence)
			}
			if o.Alive == finalizer.Unknown && !strings.HasSuffix(o.Decide, ".") && c.why != "so is every other" {
				t.Errorf("it is not known, and what would tell is not said: %q", o.Decide)
			}
			if (o.Writer != "") != (c.manager != "") || c.manager != "" && o.Set.IsZero() {
				t.Errorf("writer %q, %s", o.Writer, o.Set)
			}
		})
	}
}

// TestWhoCreatedTheObjectNeedNotOwnItsFinalizer: a webhook's finalizer is written in the name of the pod's creator.
func TestWhoCreatedTheObjectNeedNotOwnItsFinalizer(t *testing.T) {
	for f, want := range map[string]finalizer.Alive{"quota.acmegrid.dev/hold": finalizer.Unknown, "spark.acmegrid.dev/hold": finalizer.Gone} {
		p := held(f, "spark-operator")
		p.CreationTimestamp = *p.ManagedFields[0].Time
		o := finalizer.Of((&world{}).beating().add(deployment("spark", "spark-operator", 0, 0)).snapshot(t), snapshot.RefOf(p), p, f)
		if o.Alive != want || o.Sure == diagnose.Certain || want == finalizer.Unknown && (o.Name != "" || !strings.Contains(o.Why, "created the object")) {
			t.Errorf("%s: %s, %s: %s, %s", f, o.Alive, o.Sure, o.Name, o.Why)
		}
	}
}

func TestAnOwnerThatRestartsIsNotGone(t *testing.T) {
	p := held("kueue.x-k8s.io/managed", "")
	at := ago(3 * time.Minute)
	p.DeletionTimestamp = &at
	o := finalizer.Of((&world{}).beating().add(statefulSet("kueue-system", "kueue-controller-manager", 1, 0)).snapshot(t), snapshot.RefOf(p), p, p.Finalizers[0])
	if o.Alive != finalizer.Unknown || !strings.Contains(o.Why, "it may be starting") {
		t.Errorf("%s: %s", o.Alive, o.Why)
	}
}

func TestAToolOfPeopleIsNoOwner(t *testing.T) {
	for _, m := range []string{"oc", "headlamp", "agent", "Ruby", "axios", "Swagger-Codegen", "OpenAPI-Generator", "Kubernetes Java Client", "HashiCorp", "skaffold", "tilt", "Vert.x", "Apache-HttpClient", "rancher", "kubernetes"} {
		p := held("lb.example.com/cleanup", m)
		if o := finalizer.Of((&world{}).beating().snapshot(t), snapshot.RefOf(p), p, p.Finalizers[0]); o.Alive != finalizer.Unknown || o.Telling || o.Name != "" {
			t.Errorf("%s: %s, %s", m, o.Alive, o)
		}
	}
}

// TestTheSeekerLetsThroughWhatOfLooksAt keeps both on one rule: an owner that Of finds in a full picture is found in what Seeker keeps of it.
func TestTheSeekerLetsThroughWhatOfLooksAt(t *testing.T) {
	crowd := []runtime.Object{}
	for i := range 50 {
		crowd = append(crowd, deployment("shop", fmt.Sprintf("web-%d", i), 1, 1, container("app", "registry.example/web:1")))
	}
	owner := deployment("kueue-system", "kueue-controller-manager", 1, 1)
	p := held("kueue.x-k8s.io/managed", "")
	keep := finalizer.Seeker([]metav1.Object{p}, nil)
	if keep == nil || !keep(owner) {
		t.Fatal("the owner is not kept")
	}
	for _, o := range crowd {
		if keep(o) {
			t.Errorf("%T %s is kept", o, o.(*appsv1.Deployment).Name)
		}
	}
	if keep(p) {
		t.Error("a pod is kept as an owner")
	}
	for _, f := range []string{"batch.kubernetes.io/job-tracking", "kubernetes.io/pvc-protection", "foregroundDeletion"} {
		if finalizer.Seeker([]metav1.Object{held(f, "kube-controller-manager")}, nil) != nil {
			t.Errorf("%s is Kubernetes' own, and its owner is looked for among the workloads", f)
		}
	}
	if finalizer.Seeker(nil, nil) != nil {
		t.Error("nothing is held, and somebody is looked for")
	}
}

func TestFinalizersInTheSpecOfANamespaceCount(t *testing.T) {
	at := ago(30 * time.Minute)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", DeletionTimestamp: &at, Finalizers: []string{"controller.cattle.io/namespace-auth"}}}
	ns.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
	ns.Status.Conditions = []corev1.NamespaceCondition{{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue, Message: "Some resources are remaining: pods. has 1 resource instances"}}
	all := finalizer.OfAll((&world{}).beating().snapshot(t), snapshot.Ref{Kind: snapshot.Namespace, Name: "shop"}, ns)
	if len(all) != 2 || all[0].Name != "Rancher, or K3s" || all[1].Name != "namespace controller" || !strings.Contains(all[1].Todo, "pods. has 1") {
		t.Errorf("%+v", all)
	}
}

func TestAClaimWaitsForThePodsThatAreThere(t *testing.T) {
	at := ago(30 * time.Minute)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", DeletionTimestamp: &at, Finalizers: []string{"kubernetes.io/pvc-protection"}}}
	uses := func(name, node string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{
			{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
		}}}
	}
	w := (&world{}).add(claim, uses("ended", "n", corev1.PodSucceeded), uses("waiting", "", corev1.PodPending), uses("busy", "n", corev1.PodRunning))
	s := w.snapshot(t)
	if got := finalizer.UsersOf(s, "shop", "data"); !slices.Equal(got, []string{"pod busy", "pod ended"}) {
		t.Errorf("users: %v", got)
	}
	o := finalizer.Of(s, snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: "shop", Name: "data"}, claim, "kubernetes.io/pvc-protection")
	if !strings.Contains(o.Todo, "pod busy, pod ended") || !o.BuiltIn {
		t.Errorf("%+v", o)
	}
}

func TestWhatAnOwnerWaitsForIsSaidOfTheCaseAtHand(t *testing.T) {
	pv := "pv-1"
	attachment := &storagev1.VolumeAttachment{Spec: storagev1.VolumeAttachmentSpec{NodeName: "n", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &pv}}}
	attachment.Status.DetachError = &storagev1.VolumeError{Message: "disk is busy."}
	claim := &resourcev1.ResourceClaim{}
	claim.Status.ReservedFor = []resourcev1.ResourceClaimConsumerReference{{Resource: "pods", Name: "train-0"}}
	volume := &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{Namespace: "shop", Name: "data"}}, Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound}}
	s := (&world{}).snapshot(t)
	for _, c := range []struct {
		obj             metav1.Object
		finalizer, want string
	}{
		{attachment, "external-attacher/disk-csi-example-com", "detach volume pv-1 from node n, which failed: disk is busy"},
		{claim, "resource.kubernetes.io/delete-protection", "now pods train-0 has"},
		{volume, "kubernetes.io/pv-protection", "bound to claim shop/data"},
		{&corev1.Pod{}, "batch.kubernetes.io/job-tracking", "wait until the pod has ended"},
	} {
		if o := finalizer.Of(s, snapshot.Ref{}, c.obj, c.finalizer); !strings.Contains(o.Todo, c.want) {
			t.Errorf("%s: %q, want %q", c.finalizer, o.Todo, c.want)
		}
	}
}

// TestThereIsNothingThatItFailsOn gives it what a file may hold.
func TestThereIsNothingThatItFailsOn(t *testing.T) {
	w := &world{}
	w.add(&appsv1.Deployment{}, &appsv1.StatefulSet{}, &appsv1.DaemonSet{}, &coordinationv1.Lease{}, crd("", nil), crd("nodots", nil),
		&storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	s := w.snapshot(t)
	for _, f := range []string{"", "/", "a/", "/a", ".", "..", strings.Repeat("x.", 5000), "external-attacher/", "\x1b[31m/x", "*", "external-provisioner.volume.kubernetes.io/finalizer"} {
		for _, obj := range []metav1.Object{nil, &corev1.Pod{}, &corev1.PersistentVolume{}, held(f, "x"), held(f, "\x00")} {
			o := finalizer.Of(s, snapshot.Ref{}, obj, f)
			if o.Alive == finalizer.Gone && o.Sure == diagnose.Certain && o.How == finalizer.ByNone {
				t.Errorf("%q: nobody knows whose it is, and its owner is gone for certain: %s", f, o.Why)
			}
			if o.String() == "" {
				t.Error("nothing is said")
			}
		}
	}
	finalizer.OfAll(s, snapshot.Ref{}, nil)
}

func TestTheTableIsWhole(t *testing.T) {
	known := finalizer.Known()
	if len(known) < 60 {
		t.Errorf("%d entries", len(known))
	}
	for _, k := range known {
		if k.Name == "" || k.Todo == "" || k.Leaks == "" || len(k.Patterns) == 0 {
			t.Errorf("%v lacks something: %+v", k.Patterns, k)
		}
		if u, err := url.Parse(k.Ref); err != nil || u.Scheme != "https" || u.Host == "" {
			t.Errorf("%v: reference %q", k.Patterns, k.Ref)
		}
		for _, clause := range []string{k.Todo, k.Leaks} {
			if strings.HasSuffix(clause, ".") || strings.ToLower(clause[:1]) != clause[:1] {
				t.Errorf("%v: not a clause: %s", k.Patterns, clause)
			}
		}
	}
	// An entry that an earlier one hides is never found.
	for i, k := range known {
		for _, p := range k.Patterns {
			example := strings.ReplaceAll(p, "*", "some")
			if got := finalizer.Of((&world{}).snapshot(t), snapshot.Ref{}, held(example, ""), example); got.Name != k.Name {
				t.Errorf("entry %d: %s is found to be of %q, want %q", i, example, got.Name, k.Name)
			}
		}
	}
}

func TestFinalizersAsTheyAreFound(t *testing.T) {
	s := (&world{}).snapshot(t)
	for f, want := range map[string]string{
		"pvc.database.arangodb.com/member-exists":                 "ArangoDB operator",
		"agent.database.arangodb.com/agency-serving":              "ArangoDB operator",
		"snapshot.storage.kubernetes.io/pvc-as-source-protection": "snapshot controller",
		"provisioner.storage.kubernetes.io/cloning-protection":    "external-provisioner of the CSI driver",
		"cephcluster.ceph.rook.io":                                "Rook",
		"awsmachine.infrastructure.cluster.x-k8s.io":              "infrastructure provider of Cluster API",
		"machine.cluster.x-k8s.io":                                "Cluster API",
		"finalizers.s3.services.k8s.aws/Bucket":                   "AWS Controllers for Kubernetes (the one of that service)",
		"finalizer.managedresource.crossplane.io":                 "the Crossplane provider of that resource",
		"finalizer.apiextensions.crossplane.io":                   "Crossplane",
		"cdi.kubevirt.io/dataVolumeFinalizer":                     "KubeVirt CDI",
		"foregroundDeleteVirtualMachine":                          "KubeVirt",
		"restores.velero.io/external-resources-finalizer":         "Velero",
		"longhorn.io":           "Longhorn",
		"unknown.example.com/x": "",
	} {
		if got := finalizer.Of(s, snapshot.Ref{}, nil, f); got.Name != want {
			t.Errorf("%s: %q, want %q", f, got.Name, want)
		}
	}
}
