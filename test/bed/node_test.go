package bed_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

const soon = 90 * time.Second

// TestNode is one cluster with one node for all the tests below: each has a
// namespace of its own, so that they run at once.
func TestNode(t *testing.T) {
	c := start(t, bed.Options{})
	n, err := c.StartNode(t.Context(), "worker-a1", bed.NodeOptions{
		Zone:           "eu-central-1a",
		Labels:         map[string]string{"disk": "nvme"},
		RuntimeVersion: "2.1.5",
		CPUs:           16,
		MaxPods:        250,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("together", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *site){
			"says what it was told to be":                        testNodeInfo,
			"makes a Deployment Ready":                           testDeployment,
			"completes a Job":                                    testJob,
			"hangs sandbox creation until it is let go":          testHang,
			"fails a call with its code and message":             testFail,
			"delays a call":                                      testDelay,
			"lets a process that ignores SIGTERM have its grace": testGrace,
			"cannot kill what does not die":                      testUnkillable,
			"fails to pull an image":                             testPull,
			"fails a mount, and hangs an unmount":                testMount,
			"shows the logs of its units and its pods":           testLogs,
			"fails to publish a CSI volume":                      testPublish,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := &site{Cluster: c, node: n, namespace: "ns-" + strings.NewReplacer(" ", "-", ",", "").Replace(strings.ToLower(name))}
				if err := c.EnsureNamespace(t.Context(), s.namespace); err != nil {
					t.Fatal(err)
				}
				test(t, s)
			})
		}
	})
	// These two are about the whole node.
	t.Run("says that the network is lost", func(t *testing.T) { testNetworkLost(t, c, n) })
	t.Run("comes back after a reboot", func(t *testing.T) { testRestart(t, c, n) })
}

// site is where one test works.
type site struct {
	*bed.Cluster
	node      *bed.Node
	namespace string
}

func (s *site) addFault(t *testing.T, rule fault.Rule) string {
	t.Helper()
	rule.Match.Namespace = s.namespace
	if rule.Match.Source != "" {
		rule.Match.Namespace = "" // a mount knows no pod
	}
	ids, err := s.node.Faults().Add(t.Context(), rule)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

func (s *site) pod(t *testing.T, name string, spec corev1.PodSpec) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if _, err := s.Client().CoreV1().Pods(s.namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func container(command ...string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: "registry.example.com/bed/main:v1", Command: command,
	}}}
}

func (s *site) delete(t *testing.T, name string) {
	t.Helper()
	if err := s.Client().CoreV1().Pods(s.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// wait waits until the pod is as the check wants it.
func (s *site) wait(t *testing.T, name string, check func(*corev1.Pod) error) {
	t.Helper()
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		pod, err := s.Client().CoreV1().Pods(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		return check(pod)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) waitGone(t *testing.T, name string) {
	t.Helper()
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Pods(s.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("pod %s is there (%w)", name, err)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) waitEvent(t *testing.T, reason, text string) {
	t.Helper()
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		events, err := s.Client().CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if strings.Contains(e.Message, text) {
				return nil
			}
		}
		return fmt.Errorf("no event %s with %q among %d", reason, text, len(events.Items))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func running(pod *corev1.Pod) error {
	if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP == "" {
		return fmt.Errorf("pod %s is %s with address %q", pod.Name, pod.Status.Phase, pod.Status.PodIP)
	}
	return nil
}

func waitingFor(reason string) func(*corev1.Pod) error {
	return func(pod *corev1.Pod) error {
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Waiting != nil && s.State.Waiting.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("pod %s does not wait for %s: %+v", pod.Name, reason, pod.Status.ContainerStatuses)
	}
}

func testNodeInfo(t *testing.T, s *site) {
	node, err := s.Client().CoreV1().Nodes().Get(t.Context(), s.node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for what, values := range map[string][2]string{
		"kubelet":  {node.Status.NodeInfo.KubeletVersion, bed.KubernetesVersion},
		"runtime":  {node.Status.NodeInfo.ContainerRuntimeVersion, "containerd://2.1.5"},
		"system":   {node.Status.NodeInfo.OSImage, bed.DefaultOSImage},
		"CPUs":     {node.Status.Capacity.Cpu().String(), "16"},
		"pods":     {node.Status.Capacity.Pods().String(), "250"},
		"zone":     {node.Labels[corev1.LabelTopologyZone], "eu-central-1a"},
		"label":    {node.Labels["disk"], "nvme"},
		"hostname": {node.Labels[corev1.LabelHostname], "worker-a1"},
	} {
		if values[0] != values[1] {
			t.Errorf("%s: %q, want %q", what, values[0], values[1])
		}
	}
	if len(node.Spec.Taints) != 0 {
		t.Errorf("the node has taints %v", node.Spec.Taints)
	}
}

func testDeployment(t *testing.T, s *site) {
	replicas := int32(3)
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: container()},
		},
	}
	deployments := s.Client().AppsV1().Deployments(s.namespace)
	if _, err := deployments.Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		found, err := deployments.Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found.Status.ReadyReplicas != replicas {
			return fmt.Errorf("%d of %d replicas are Ready", found.Status.ReadyReplicas, replicas)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func testJob(t *testing.T, s *site) {
	spec := container("sh", "-c", "sleep 1; exit 0")
	spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}}}
	jobs := s.Client().BatchV1().Jobs(s.namespace)
	if _, err := jobs.Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		found, err := jobs.Get(ctx, "once", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found.Status.Succeeded != 1 {
			return fmt.Errorf("the Job has not succeeded: %+v", found.Status)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func testHang(t *testing.T, s *site) {
	id := s.addFault(t, fault.Rule{Call: fault.RunPodSandbox, Action: fault.Hang})
	s.pod(t, "hung", container())
	s.wait(t, "hung", waitingFor("ContainerCreating"))
	time.Sleep(3 * time.Second)
	s.wait(t, "hung", waitingFor("ContainerCreating"))
	if err := s.node.Faults().Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "hung", running)
}

func testFail(t *testing.T, s *site) {
	s.addFault(t, fault.Rule{Call: fault.CreateContainer, Action: fault.Fail, Code: codes.Internal, Message: `no room for {container} of {pod}`})
	s.pod(t, "refused", container())
	s.wait(t, "refused", waitingFor("CreateContainerError"))
	s.waitEvent(t, "Failed", "no room for main of refused")
}

func testDelay(t *testing.T, s *site) {
	const delay = 5 * time.Second
	s.addFault(t, fault.Rule{Call: fault.StartContainer, Action: fault.Delay, Delay: delay})
	began := time.Now()
	s.pod(t, "late", container())
	s.wait(t, "late", running)
	if took := time.Since(began); took < delay {
		t.Errorf("the pod ran after %s, want at least %s", took, delay)
	}
}

func testGrace(t *testing.T, s *site) {
	grace := int64(6)
	spec := container("sh", "-c", "trap '' TERM; sleep infinity")
	spec.TerminationGracePeriodSeconds = &grace
	s.pod(t, "stubborn", spec)
	s.wait(t, "stubborn", running)
	began := time.Now()
	s.delete(t, "stubborn")
	s.waitGone(t, "stubborn")
	if took := time.Since(began); took < time.Duration(grace)*time.Second {
		t.Errorf("the pod was gone after %s, in its grace period", took)
	}
}

func testUnkillable(t *testing.T, s *site) {
	grace := int64(1)
	spec := container()
	spec.TerminationGracePeriodSeconds = &grace
	s.pod(t, "undead", spec)
	s.wait(t, "undead", running)
	id := s.addFault(t, fault.Rule{Call: fault.StopContainer, Action: fault.Fail, Code: codes.DeadlineExceeded, Message: "context deadline exceeded"})
	sandbox := s.addFault(t, fault.Rule{Call: fault.StopPodSandbox, Action: fault.Fail, Code: codes.DeadlineExceeded, Message: "context deadline exceeded"})
	s.delete(t, "undead")
	s.waitEvent(t, "FailedKillPod", "context deadline exceeded")
	s.wait(t, "undead", func(pod *corev1.Pod) error {
		if pod.DeletionTimestamp == nil {
			return fmt.Errorf("pod %s is not being deleted", pod.Name)
		}
		return running(pod)
	})
	if err := s.node.Faults().Remove(t.Context(), id, sandbox); err != nil {
		t.Fatal(err)
	}
	s.waitGone(t, "undead")
}

func testPull(t *testing.T, s *site) {
	const image = "registry.example.com/bed/absent:v9"
	s.addFault(t, fault.Rule{Call: fault.PullImage, Match: fault.Match{Image: image}, Action: fault.Fail, Code: codes.NotFound, Message: "{image}: not found"})
	spec := container()
	spec.Containers[0].Image = image
	s.pod(t, "absent", spec)
	s.wait(t, "absent", waitingFor("ImagePullBackOff"))
	s.waitEvent(t, "Failed", image+": not found")
}

func testMount(t *testing.T, s *site) {
	const server = "10.20.40.99"
	spec := container()
	spec.Volumes = []corev1.Volume{{Name: "share", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: server, Path: "/exports/a"}}}}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "share", MountPath: "/share"}}
	match := fault.Match{Source: server + ":**"}

	mount := s.addFault(t, fault.Rule{Call: fault.Mount, Match: match, Action: fault.Fail, Message: "mount.nfs: Connection timed out"})
	s.pod(t, "reader", spec)
	s.waitEvent(t, "FailedMount", "mount.nfs: Connection timed out")
	s.wait(t, "reader", waitingFor("ContainerCreating"))
	if err := s.node.Faults().Remove(t.Context(), mount); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "reader", running)

	unmount := s.addFault(t, fault.Rule{Call: fault.Unmount, Match: match, Action: fault.Hang})
	s.delete(t, "reader")
	s.wait(t, "reader", func(pod *corev1.Pod) error {
		if pod.Status.Phase != corev1.PodSucceeded || pod.Status.ContainerStatuses[0].State.Terminated == nil {
			return fmt.Errorf("pod %s is %s: %+v", pod.Name, pod.Status.Phase, pod.Status.ContainerStatuses)
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	s.wait(t, "reader", func(*corev1.Pod) error { return nil })
	if err := s.node.Faults().Remove(t.Context(), unmount); err != nil {
		t.Fatal(err)
	}
	s.waitGone(t, "reader")
}

func testPublish(t *testing.T, s *site) {
	const handle = "vol-test"
	id := s.addFault(t, fault.Rule{Call: fault.NodePublishVolume, Match: fault.Match{Source: handle}, Action: fault.Fail, Code: codes.Internal, Message: "the disk is upside down"})
	spec := container()
	spec.Volumes = []corev1.Volume{{Name: "disk", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"},
	}}}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "disk", MountPath: "/disk"}}
	makeDisk(t, s, handle)
	s.pod(t, "disk-user", spec)
	s.waitEvent(t, "FailedMount", "the disk is upside down")
	if err := s.node.Faults().Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.wait(t, "disk-user", running)
	s.delete(t, "disk-user")
	s.waitGone(t, "disk-user")
}

func makeDisk(t *testing.T, s *site, handle string) {
	t.Helper()
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			ClaimRef:               &corev1.ObjectReference{Namespace: s.namespace, Name: "disk"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.DriverName, VolumeHandle: handle}},
		},
	}
	if _, err := s.Client().CoreV1().PersistentVolumes().Create(t.Context(), pv, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	noClass := ""
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      pv.Spec.AccessModes,
			Resources:        corev1.VolumeResourceRequirements{Requests: pv.Spec.Capacity},
			StorageClassName: &noClass,
			VolumeName:       pv.Name,
		},
	}
	if _, err := s.Client().CoreV1().PersistentVolumeClaims(s.namespace).Create(t.Context(), pvc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waitReady(t *testing.T, c *bed.Cluster, name string, want corev1.ConditionStatus, text string) {
	t.Helper()
	err := bed.Poll(t.Context(), soon, func(ctx context.Context) error {
		node, err := c.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == want && strings.Contains(condition.Message, text) {
				return nil
			}
		}
		return fmt.Errorf("node %s is not Ready=%s with %q: %+v", name, want, text, node.Status.Conditions)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testLogs(t *testing.T, s *site) {
	s.pod(t, "talker", container())
	s.wait(t, "talker", running)
	out, err := s.Client().CoreV1().Pods(s.namespace).GetLogs("talker", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil || string(out) != "main started\n" {
		t.Errorf("the pod's log is %q, %v", out, err)
	}
	s.addFault(t, fault.Rule{Call: fault.RunPodSandbox, Match: fault.Match{Pod: "silent"}, Action: fault.Fail, Message: "the shim is out of steam"})
	s.pod(t, "silent", container())
	s.waitEvent(t, "FailedCreatePodSandBox", "out of steam")
	for unit, want := range map[string]string{
		"containerd": `level=error msg="RunPodSandbox for &PodSandboxMetadata{Name:silent,Namespace:` + s.namespace,
		"kubelet":    "Error syncing pod, skipping",
	} {
		out, err := s.Client().CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/"+s.node.Name+"/proxy/logs/").
			Param("query", unit).Param("pattern", "steam").Param("sinceTime", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), want) || !strings.Contains(string(out), " worker-a1 "+unit+"[") {
			t.Errorf("the log of %s has no line with %q:\n%s", unit, want, out)
		}
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "steam") {
				t.Errorf("the log of %s has a line that the pattern does not match: %s", unit, line)
			}
		}
	}
}

func testNetworkLost(t *testing.T, c *bed.Cluster, n *bed.Node) {
	if err := n.Faults().SetConditions(t.Context(), fault.NetworkLost()); err != nil {
		t.Fatal(err)
	}
	waitReady(t, c, n.Name, corev1.ConditionFalse, "cni plugin not initialized")
	if err := n.Faults().SetConditions(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitReady(t, c, n.Name, corev1.ConditionTrue, "")
}

func testRestart(t *testing.T, c *bed.Cluster, n *bed.Node) {
	before, err := c.Client().CoreV1().Nodes().Get(t.Context(), n.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if n.PID() != 0 {
		t.Errorf("the stopped node is process %d", n.PID())
	}
	waitReady(t, c, n.Name, corev1.ConditionUnknown, "Kubelet stopped posting node status.")
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := c.Client().CoreV1().Nodes().Get(t.Context(), n.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.Status.NodeInfo.BootID == after.Status.NodeInfo.BootID {
		t.Error("the boot ID is still the same")
	}
	if before.UID != after.UID {
		t.Error("the Node object is another one")
	}
}
