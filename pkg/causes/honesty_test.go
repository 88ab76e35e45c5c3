package causes_test

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

var taken = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(taken.Add(-d)) }

// scene is one pod, shop/p on node n, that is stuck, and what is said about it.
type scene struct {
	t       *testing.T
	pod     *corev1.Pod
	objects []runtime.Object
	unread  []snapshot.Kind
	some    []snapshot.Kind // not all of the kind was read
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return &scene{t: t, pod: &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p", UID: "uid-p", CreationTimestamp: ago(3 * time.Hour)},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "app", Image: "registry.example/app:1"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}}
}

// node adds the pod's node, which has been Ready for a while and renews its lease.
func (s *scene) node(ready time.Duration) *scene {
	s.objects = append(s.objects,
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: ago(ready)},
		}}},
		&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: "n"},
			Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: taken.Add(-3 * time.Second)}},
		})
	return s
}

func (s *scene) waiting(reason, message string) *scene {
	s.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	return s
}

// ended makes the container one that ended before.
func (s *scene) ended(t corev1.ContainerStateTerminated) *scene {
	s.pod.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{Terminated: &t}
	s.pod.Status.ContainerStatuses[0].RestartCount = 7
	return s
}

// since is when the pod was bound, and lost its readiness.
func (s *scene) since(d time.Duration) *scene {
	s.pod.Status.Conditions = append(s.pod.Status.Conditions,
		corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: ago(d)},
		corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: ago(d)})
	return s
}

func (s *scene) deleted(d time.Duration) *scene {
	at, grace := ago(d), int64(30)
	s.pod.DeletionTimestamp, s.pod.DeletionGracePeriodSeconds = &at, &grace
	s.pod.Status.Phase = corev1.PodRunning
	s.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(3 * time.Hour)}}}}
	return s
}

func (s *scene) event(d time.Duration, reason, message string) *scene {
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: "e" + string(rune('a'+len(s.objects)))},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "p", UID: s.pod.UID},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: message, Count: 3,
		FirstTimestamp: ago(d), LastTimestamp: ago(d), Source: corev1.EventSource{Component: "kubelet", Host: "n"},
	}
	if slices.Contains([]string{"Pulling", "Pulled", "Created", "Started", "Killing", "Scheduled"}, reason) {
		e.Type = corev1.EventTypeNormal
	}
	s.objects = append(s.objects, e)
	return s
}

func (s *scene) diagnose() diagnose.Diagnosis {
	s.t.Helper()
	b := snapshot.NewBuilder()
	for _, o := range append([]runtime.Object{s.pod}, s.objects...) {
		if !b.Add(o) {
			s.t.Fatalf("a snapshot does not hold %T", o)
		}
	}
	for _, i := range snapshot.Kinds() {
		if slices.Contains(s.unread, i.Kind) {
			b.AddGap(snapshot.Gap{Kind: i.Kind, Reason: snapshot.ReasonForbidden, Detail: "not allowed"})
			continue
		}
		if !slices.Contains(s.some, i.Kind) {
			b.SetComplete(i.Kind, "")
		}
	}
	pic, err := b.Build(taken)
	if err != nil {
		s.t.Fatal(err)
	}
	found := stuck.Find(pic, stuck.Options{})
	if len(found.Stuck) != 1 {
		s.t.Fatalf("the pod is not stuck, and proves nothing: %+v", found)
	}
	return diagnose.Run(pic, found, catalogue(s.t))
}

const (
	noFork   = `failed to create containerd task: failed to start shim: start failed: fork/exec /usr/bin/containerd-shim-runc-v2: resource temporarily unavailable`
	cniToken = `failed to setup network for sandbox "1": plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized`
)

// TestNothingIsCertainOnOldOrForeignWords holds scenes against the catalogue in which words are there that would convict, and do not speak of what
// the pod hangs in now.
func TestNothingIsCertainOnOldOrForeignWords(t *testing.T) {
	for name, c := range map[string]struct {
		scene func(*scene)
		// atMost is how sure the cause may be at most; empty means that it may say nothing.
		slug   string
		atMost diagnose.Confidence
	}{
		"a container crashes now, and an hour ago a process could not be started": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CrashLoopBackOff", "back-off").since(10 * time.Minute)
				s.ended(corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: ago(2 * time.Minute)}).event(50*time.Minute, "Failed", noFork)
			},
			slug: "pid-thread-exhaustion",
		},
		"a finalizer holds the pod, which the node had its trouble with": {
			scene: func(s *scene) {
				s.node(time.Hour).deleted(10*time.Minute).event(11*time.Minute, "FailedKillPod", noFork)
				none := int64(0)
				s.pod.DeletionGracePeriodSeconds, s.pod.Finalizers, s.pod.Status.Phase = &none, []string{"example.com/hold"}, corev1.PodFailed
				s.pod.Status.ContainerStatuses = nil
			},
			slug: "pid-thread-exhaustion",
		},
		"a predecessor of the same name had a stale mount, and the event has no UID": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(4 * time.Minute)
				s.pod.CreationTimestamp, s.pod.UID = ago(4*time.Minute), ""
				s.event(6*time.Minute, "FailedMount", "MountVolume.SetUp failed for volume \"data\" : stat /data: stale NFS file handle")
			},
			slug: "nfs-stale-file-handle",
		},
		"the sandbox was made in the second attempt, and a big image is being pulled": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(20*time.Minute).event(19*time.Minute, "FailedCreatePodSandBox", cniToken)
				s.event(18*time.Minute, "Pulling", "Pulling image")
			},
			slug: "cni-token-expired",
		},
		"a probe quotes what the program says of its own files": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CrashLoopBackOff", "back-off").since(10*time.Minute).event(time.Minute, "Unhealthy", "Liveness probe failed: stat /mnt/x: stale file handle")
			},
			slug: "nfs-stale-file-handle",
		},
		"a probe quotes a socket that is gone": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CrashLoopBackOff", "back-off").since(10*time.Minute).event(time.Minute, "Unhealthy", "Readiness probe failed: stat /mount: transport endpoint is not connected")
			},
			slug: "fuse-endpoint-dead",
		},
		"a program's last words look like kubelet's": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CrashLoopBackOff", "back-off").since(10 * time.Minute)
				s.ended(corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "failed to prepare subPath for volumeMount \"x\" of container \"y\""})
			},
			slug: "hostpath-type",
		},
		"a network plugin came back with its node": {
			scene: func(s *scene) {
				s.node(3*time.Minute).waiting("ContainerCreating", "").since(15*time.Minute).event(5*time.Minute, "NetworkNotReady", "network is not ready: container runtime network not ready: cni plugin not initialized")
			},
			slug: "cni-not-initialized",
		},
		"a container that could not be started once runs now": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("PodInitializing", "").since(20 * time.Minute)
				s.pod.Spec.InitContainers = []corev1.Container{{Name: "wait"}}
				s.pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{
					Name: "wait", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(15 * time.Minute)}},
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: "OCI runtime create failed: exec: no such file or directory"}},
				}}
			},
			slug: "run-oci-error",
		},
		"kubelet killed the container for its probe once, and now it ends by itself": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CrashLoopBackOff", "back-off").since(50 * time.Minute)
				s.ended(corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: ago(2 * time.Minute)})
				s.event(40*time.Minute, "Killing", "Container app failed liveness probe, will be restarted")
			},
			slug: "crashloop", atMost: diagnose.Likely,
		},
		"the node's own image store lost a layer": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ErrImagePull", `failed to pull and unpack image "registry.example/app:1": failed to extract layer sha256:1: content digest sha256:1: not found`).since(10 * time.Minute)
			},
			slug: "image-not-found",
		},
		"kubelet missed a Secret a while ago, and Secrets cannot be read": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(50 * time.Minute)
				s.pod.Spec.Volumes = []corev1.Volume{{Name: "key", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "key"}}}}
				s.event(40*time.Minute, "FailedMount", `MountVolume.SetUp failed for volume "key" : secret "key" not found`)
				s.unread = []snapshot.Kind{snapshot.Secret}
			},
			slug: "configmap-or-secret-missing", atMost: diagnose.Possible,
		},
		"the last word on a failure is old, and the pod still hangs": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(50*time.Minute).event(40*time.Minute, "FailedCreatePodSandBox", `failed to get sandbox image "registry.example/pause:3.10": not found`)
			},
			slug: "sandbox-image-unavailable", atMost: diagnose.Likely,
		},
		"a claim is bound to a volume that could not be read": {
			scene: func(s *scene) {
				s.pod.Spec.NodeName = ""
				s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
				s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: ago(time.Hour), Message: "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."}}
				s.objects = append(s.objects, &corev1.PersistentVolumeClaim{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv-1"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
				})
				s.unread = []snapshot.Kind{snapshot.PersistentVolume}
			},
			slug: "pvc-unbound",
		},
		"a node that nobody could read is not lost, because its kubelet speaks": {
			scene: func(s *scene) {
				s.deleted(10*time.Minute).event(9*time.Minute, "NodeNotReady", "Node is not ready").event(2*time.Minute, "FailedKillPod", "error killing pod: failed to stop container")
				s.unread = []snapshot.Kind{snapshot.Node, snapshot.Lease}
			},
			slug: "node-lost",
		},
		"silence says nothing where events cannot be read": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(20 * time.Minute)
				s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/"}}}}
				s.unread = []snapshot.Kind{snapshot.Event}
			},
			slug: "nfs-server-unreachable", atMost: diagnose.Possible,
		},
		"nodes wait for their cloud, and the pod for its claim": {
			scene: func(s *scene) {
				s.pod.Spec.NodeName = ""
				s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: ago(time.Hour), Message: "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."}}
				s.objects = append(s.objects, &corev1.Node{
					ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: ago(time.Hour)},
					Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "node.cloudprovider.kubernetes.io/uninitialized", Value: "true", Effect: corev1.TaintEffectNoSchedule}}},
				})
			},
			slug: "ccm-uninitialized-taint",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.scene(s)
			d := s.diagnose()
			for _, skip := range d.Skips {
				if len(s.unread) == 0 {
					t.Errorf("skipped: %+v", skip)
				}
			}
			for _, f := range d.Findings {
				if f.Slug == c.slug && f.Rank() > c.atMost.Rank() {
					t.Errorf("%s is %s, and may be %q at most: %s", f.Slug, f.Confidence, c.atMost, f.Message)
				}
				if f.Confidence == diagnose.Certain && !slices.Contains([]string{"init-container-waiting"}, f.Slug) {
					t.Errorf("%s is certain: %s", f.Slug, f.Message)
				}
			}
		})
	}
}

// TestAUserOfOneNamespaceGetsAnswers takes away what a user with rights in one namespace only may not read.
func TestAUserOfOneNamespaceGetsAnswers(t *testing.T) {
	forbidden := []snapshot.Kind{
		snapshot.Node, snapshot.Lease, snapshot.PersistentVolume, snapshot.VolumeAttachment, snapshot.CSINode, snapshot.CSIDriver, snapshot.StorageClass, snapshot.Namespace,
		snapshot.RuntimeClass, snapshot.Secret, snapshot.MutatingWebhookConfiguration, snapshot.ValidatingWebhookConfiguration,
	}
	for name, c := range map[string]struct {
		scene  func(*scene)
		slug   string
		events bool // its answer needs events
	}{
		"node lost": {slug: "node-lost", events: true, scene: func(s *scene) {
			s.deleted(10*time.Minute).event(16*time.Minute, "NodeNotReady", "Node is not ready")
			s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", LastTransitionTime: ago(11 * time.Minute)}}
		}},
		"node lost, by the taint manager's mark alone": {slug: "node-lost", scene: func(s *scene) {
			s.deleted(10 * time.Minute)
			s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "DeletionByTaintManager", LastTransitionTime: ago(11 * time.Minute)}}
		}},
		"image": {slug: "image-not-found", scene: func(s *scene) {
			s.waiting("ImagePullBackOff", `Back-off pulling image "registry.example/app:1": ErrImagePull: registry.example/app:1: not found`).since(10 * time.Minute)
		}},
		"image, and an old kubelet": {slug: "image-not-found", scene: func(s *scene) {
			s.waiting("ImagePullBackOff", `Back-off pulling image "registry.example/app:1"`).since(10 * time.Minute)
		}},
		"configuration": {slug: "configmap-or-secret-missing", scene: func(s *scene) {
			s.waiting("CreateContainerConfigError", `secret "key" not found`).since(10 * time.Minute)
		}},
		"finalizer": {slug: "job-tracking-finalizer-orphan", scene: func(s *scene) {
			s.deleted(10 * time.Minute)
			none := int64(0)
			s.pod.DeletionGracePeriodSeconds, s.pod.Finalizers, s.pod.Status.Phase = &none, []string{"batch.kubernetes.io/job-tracking"}, corev1.PodFailed
		}},
		"scheduling": {slug: "unschedulable-insufficient", scene: func(s *scene) {
			s.pod.Spec.NodeName = ""
			s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: ago(time.Hour), Message: "0/3 nodes are available: 3 Insufficient cpu."}}
		}},
		"a claim without a volume": {slug: "pvc-unbound", scene: func(s *scene) {
			s.pod.Spec.NodeName = ""
			s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
			s.pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", LastTransitionTime: ago(time.Hour), Message: "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."}}
			s.objects = append(s.objects, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}})
		}},
		"a volume on another node": {slug: "multi-attach-node-down", events: true, scene: func(s *scene) {
			s.waiting("ContainerCreating", "").since(10 * time.Minute)
			s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
			s.event(time.Minute, "FailedAttachVolume", `Multi-Attach error for volume "pv-1" Volume is already exclusively attached to one node and can't be attached to another`)
		}},
		"an NFS server, inline": {slug: "nfs-server-unreachable", events: true, scene: func(s *scene) {
			s.waiting("ContainerCreating", "").since(10 * time.Minute)
			s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example.com", Path: "/"}}}}
			s.event(time.Minute, "FailedMount", "MountVolume.SetUp failed: mount failed: mount.nfs: Connection timed out")
		}},
		"no network plugin": {slug: "cni-not-initialized", events: true, scene: func(s *scene) {
			s.waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "NetworkNotReady", "network is not ready: cni plugin not initialized")
		}},
		"no processes": {slug: "pid-thread-exhaustion", events: true, scene: func(s *scene) {
			s.waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", noFork)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.unread = forbidden
			c.scene(s)
			if !c.events {
				s.unread = append(slices.Clone(forbidden), snapshot.Event)
			}
			d := s.diagnose()
			if !slices.ContainsFunc(d.Findings, func(f diagnose.Finding) bool { return f.Slug == c.slug }) {
				t.Errorf("no %s: %s", c.slug, list(d.Findings))
			}
			for _, f := range d.Findings {
				wellMade(t, name, f)
			}
		})
	}
}
