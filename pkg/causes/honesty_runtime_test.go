package causes_test

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

const (
	killTimeout    = `error killing pod: failed to "KillContainer" for "app" with KillContainerError: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"`
	sandboxTimeout = `error killing pod: failed to "KillPodSandbox" for "0f3a" with KillPodSandboxError: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"`
)

// TestWhatFitsManyCausesIsNeverCertain holds what a node's runtime says in the same words for several reasons against the catalogue: one finding leads, names the
// others, and says what would decide.
func TestWhatFitsManyCausesIsNeverCertain(t *testing.T) {
	for name, c := range map[string]struct {
		scene func(*scene)
		slug  string
		// among must be its alternatives, and not must not.
		among, not []string
	}{
		"a container is not ended in time": {
			scene: func(s *scene) {
				s.node(time.Hour).deleted(10*time.Minute).event(time.Minute, "FailedKillPod", killTimeout)
			},
			slug: "d-state-process", among: []string{"runtime-state-desync", "zombie-zap-pid-ns", "cgroup-frozen", "containerd-stop-regression", "runtime-hung"},
		},
		"a container is not ended in time, and another one of the node started since": {
			scene: func(s *scene) {
				s.node(time.Hour).deleted(10*time.Minute).event(time.Minute, "FailedKillPod", killTimeout)
				s.objects = append(s.objects, &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "well", UID: "uid-well", CreationTimestamp: ago(5 * time.Minute)}, Spec: corev1.PodSpec{NodeName: "n"},
					Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
						Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(4 * time.Minute)}},
					}}},
				})
			},
			slug: "d-state-process", among: []string{"runtime-state-desync"}, not: []string{"runtime-hung"},
		},
		"a container is not ended in time, and the kernel says that tasks hang": {
			scene: func(s *scene) {
				s.node(time.Hour).deleted(10*time.Minute).event(time.Minute, "FailedKillPod", killTimeout)
				s.objects[0].(*corev1.Node).Status.Conditions = append(s.objects[0].(*corev1.Node).Status.Conditions, corev1.NodeCondition{Type: "KernelDeadlock", Status: corev1.ConditionTrue, Reason: "DockerHung"})
			},
			slug: "d-state-process", among: []string{"kernel-hung-task"}, not: []string{"runtime-state-desync"},
		},
		"a sandbox is not ended in time": {
			scene: func(s *scene) {
				s.node(time.Hour).deleted(10*time.Minute).event(time.Minute, "FailedKillPod", sandboxTimeout)
			},
			slug: "netdev-refcount-leak", among: []string{"runtime-hung"},
		},
		"a container is not made in time": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CreateContainerError", "context deadline exceeded").since(10*time.Minute).event(time.Minute, "Failed", "Error: context deadline exceeded")
			},
			slug: "runtime-request-timeout-slow-disk", among: []string{"runtime-hung"}, not: []string{"hung-volume-blocks-createcontainer"},
		},
		"a container with a volume is not made in time": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CreateContainerError", "context deadline exceeded").since(10*time.Minute).event(time.Minute, "Failed", "Error: context deadline exceeded")
				s.pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
			},
			slug: "runtime-request-timeout-slow-disk", among: []string{"hung-volume-blocks-createcontainer", "selinux-recursive-relabel"},
		},
		"a sandbox is not made in time": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded")
			},
			slug: "runtime-request-timeout-slow-disk", among: []string{"runtime-hung", "netdev-refcount-leak"},
		},
		"a sandbox loses its shim": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", "Failed create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container: failed to create containerd task: ttrpc: client shutting down: ttrpc: closed: unknown")
			},
			slug: "runtime-hung", among: []string{"runtime-state-desync", "pid-thread-exhaustion"},
		},
		"a shim is given up": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: context canceled: unknown")
			},
			slug: "runtime-hung", among: []string{"runtime-state-desync"},
		},
		"Docker has another container of the sandbox's name": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", `Failed create pod sandbox: rpc error: code = Unknown desc = failed to create a sandbox for pod "p": Error response from daemon: Conflict. The container name "/k8s_POD_p_shop_0f3a_0" is already in use by container "e8c3". You have to remove (or rename) that container to be able to reuse that name.`)
			},
			slug: "containerd-name-reservation-leak", among: []string{"runtime-state-desync"},
		},
		"Docker has another container of the container's name": {
			scene: func(s *scene) {
				s.node(time.Hour).since(10*time.Minute).waiting("CreateContainerError", `Error response from daemon: Conflict. The container name "/k8s_app_p_shop_0f3a_2" is already in use by container "e8c3". You have to remove (or rename) that container to be able to reuse that name.`)
			},
			slug: "containerd-name-reservation-leak", among: []string{"runtime-state-desync"},
		},
		"runc's first process did not come to be": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown")
			},
			slug: "pid-thread-exhaustion", among: []string{"run-oci-error", "node-out-of-memory"},
		},
		"the kubelet cannot make a directory for a volume": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedMount", `MountVolume.SetUp failed for volume "conf" : mkdir /var/lib/kubelet/pods/0f3a/volumes/kubernetes.io~configmap: not a directory`)
			},
			slug: "node-disk-failing", among: []string{"volume-mount-fails"},
		},
		"the kubelet's directory is read-only": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedMount", `MountVolume.SetUp failed for volume "conf" : mkdir /var/lib/kubelet/pods/0f3a/volumes/kubernetes.io~configmap: read-only file system`)
			},
			slug: "node-disk-failing",
		},
		"a name is reserved": {
			scene: func(s *scene) {
				s.node(time.Hour).waiting("CreateContainerError", `failed to reserve container name "app_p": name "app_p" is reserved for "9c"`).since(10 * time.Minute)
			},
			slug: "runtime-request-timeout-slow-disk", among: []string{"hung-volume-blocks-createcontainer", "containerd-name-reservation-leak", "selinux-recursive-relabel"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.scene(s)
			d := s.diagnose()
			at := slices.IndexFunc(d.Findings, func(f diagnose.Finding) bool { return f.Slug == c.slug })
			if at < 0 {
				t.Fatalf("no %s: %s", c.slug, list(d.Findings))
			}
			for _, f := range d.Findings {
				if f.Confidence == diagnose.Certain {
					t.Errorf("%s is certain: %s", f.Slug, f.Message)
				}
			}
			f := d.Findings[at]
			wellMade(t, name, f)
			for _, slug := range c.among {
				if !slices.Contains(f.Alternatives, slug) {
					t.Errorf("%s names %v, and not %s", c.slug, f.Alternatives, slug)
				}
			}
			for _, slug := range c.not {
				if slices.Contains(f.Alternatives, slug) {
					t.Errorf("%s still names %s", c.slug, slug)
				}
			}
		})
	}
}

// TestARuntimeThatNamesTheStepIsNotSaidToBeSlow puts what the runtime says that it does before the guess at what keeps it.
func TestARuntimeThatNamesTheStepIsNotSaidToBeSlow(t *testing.T) {
	s := newScene(t)
	s.node(time.Hour).waiting("CreateContainerError", `failed to reserve container name "app_p": name "app_p" is reserved for "9c"`).since(10 * time.Minute)
	s.event(2*time.Minute, "Failed", `Error: failed to generate container "9c" spec: failed to generate spec: failed to apply OCI options: relabel "/var/lib/kubelet/pods/1/volumes/x" with "system_u:object_r:container_file_t:s0:c1,c2" failed: context deadline exceeded`)
	d := s.diagnose()
	if len(d.Findings) == 0 || d.Findings[0].Slug != "selinux-recursive-relabel" {
		t.Errorf("relabelling does not lead: %s", list(d.Findings))
	}
	for _, f := range d.Findings {
		if f.Slug == "runtime-request-timeout-slow-disk" || f.Slug == "containerd-name-reservation-leak" {
			t.Errorf("said to be %s", f.Slug)
		}
	}
}

// TestWhatIsSaidOfTheNodeSpeaksForItsPods holds events of node-problem-detector, which are about the node, against a pod of which nothing is said.
func TestWhatIsSaidOfTheNodeSpeaksForItsPods(t *testing.T) {
	for _, c := range []struct{ reason, message, slug string }{
		{"TaskHung", "kernel: task docker:7 blocked for more than 300 seconds.", "kernel-hung-task"},
		{"KernelOops", "kernel: BUG: unable to handle kernel NULL pointer dereference at (null)", "kernel-hung-task"},
		{"DockerHung", "task docker:20744 blocked for more than 120 seconds.", "kernel-hung-task"},
		{"UnregisterNetDevice", "unregister_netdevice: waiting for eth0 to become free. Usage count = 1", "netdev-refcount-leak"},
	} {
		for name, stick := range map[string]func(*scene){
			"a pod does not start": func(s *scene) { s.waiting("ContainerCreating", "").since(10 * time.Minute) },
			"a pod does not end":   func(s *scene) { s.deleted(10 * time.Minute) },
		} {
			for when, says := range map[time.Duration]bool{3 * time.Minute: true, 26 * time.Hour: false} {
				s := newScene(t).node(48 * time.Hour)
				stick(s)
				s.objects = append(s.objects, &corev1.Event{
					ObjectMeta:     metav1.ObjectMeta{Namespace: "default", Name: "n.1"},
					InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: "n", UID: "n"},
					Type:           corev1.EventTypeWarning, Reason: c.reason, Message: c.message, Count: 1,
					FirstTimestamp: ago(when), LastTimestamp: ago(when), Source: corev1.EventSource{Component: "kernel-monitor", Host: "n"},
				})
				d := s.diagnose()
				found := slices.ContainsFunc(d.Findings, func(f diagnose.Finding) bool {
					return f.Slug == c.slug && f.Confidence != diagnose.Certain && len(f.Evidence) > 0 && slices.ContainsFunc(f.Explains, func(r snapshot.Ref) bool { return r.Name == "p" })
				})
				if found != says {
					t.Errorf("%s, and %s was said %s ago: %s explains it: %v", name, c.reason, when, c.slug, found)
				}
			}
		}
	}
}

// TestAFullPathSplitsWhatIsFull keeps apart what the kernel calls by one name: no space left on device.
func TestAFullPathSplitsWhatIsFull(t *testing.T) {
	mine := []string{"memcg-leak", "inotify-fd-exhaustion", "thin-pool-full", "node-disk-failing", "cgroup-systemd-failure"}
	for message, want := range map[string]string{
		"unable to ensure pod container exists: failed to create container for [kubepods pod0f3a] : mkdir /sys/fs/cgroup/memory/kubepods/pod0f3a: no space left on device": "memcg-leak",
		"Failed to create pod sandbox: inotify_add_watch /sys/fs/cgroup/memory/kubepods/pod0f3a: no space left on device":                                                  "inotify-fd-exhaustion",
		"Failed to create pod sandbox: mkdir /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/77aa: no space left on device":                                        "",
		"Failed to create pod sandbox: write /sys/fs/cgroup/cpuset/kubepods/pod0f3a/cgroup.procs: no space left on device":                                                 "",
	} {
		s := newScene(t)
		s.node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", message)
		for _, f := range s.diagnose().Findings {
			if slices.Contains(mine, f.Slug) && f.Slug != want {
				t.Errorf("%s: said to be %s", message, f.Slug)
			}
			if f.Slug == want {
				want = ""
			}
		}
		if want != "" {
			t.Errorf("%s: not said to be %s", message, want)
		}
	}
}

// TestASilentNodeIsNotOffWhereItsMachineSpeaks keeps remedies that are for dead machines from nodes whose machine runs.
func TestASilentNodeIsNotOffWhereItsMachineSpeaks(t *testing.T) {
	for name, c := range map[string]struct {
		spoke time.Duration
		want  string
	}{
		"node-problem-detector wrote a minute ago":        {time.Minute, "kubelet-dead-node-up"},
		"node-problem-detector fell silent with the node": {31 * time.Minute, "node-lost"},
	} {
		s := newScene(t)
		s.deleted(20 * time.Minute)
		s.node(30 * time.Minute)
		n := s.objects[0].(*corev1.Node)
		n.Status.Conditions[0].Status, n.Status.Conditions[0].Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: "KernelDeadlock", Status: corev1.ConditionFalse, LastHeartbeatTime: ago(c.spoke)})
		s.objects[1] = leaseOf("n", 31*time.Minute)
		d := s.diagnose()
		for _, slug := range []string{"kubelet-dead-node-up", "node-lost"} {
			has := slices.ContainsFunc(d.Findings, func(f diagnose.Finding) bool {
				return f.Slug == slug && f.Subject == snapshot.Ref{Kind: snapshot.Node, Name: "n"}
			})
			if has != (slug == c.want) {
				t.Errorf("%s: %s found: %v", name, slug, has)
			}
		}
	}
}

func leaseOf(node string, age time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: node},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &metav1.MicroTime{Time: taken.Add(-age)}},
	}
}
