package world

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/csi"
)

const (
	// Soon is how long workloads, controllers and kubelets are waited for.
	Soon = 90 * time.Second
	// Pool is the label, and the key of the taint, of nodes that take only pods that were made for them.
	Pool = "world.example.com/pool"

	app = "app.kubernetes.io/name"
)

// Own are the options of a node that takes only pods that were made for it.
func Own(name string, o bed.NodeOptions) bed.NodeOptions {
	o.Labels = map[string]string{Pool: name}
	o.Taints = []corev1.Taint{{Key: Pool, Value: name, Effect: corev1.TaintEffectNoSchedule}}
	return o
}

// Edit changes a pod's spec.
type Edit func(*corev1.PodSpec)

// Spec is that of a pod of one container.
func Spec(image string, edits ...Edit) corev1.PodSpec {
	s := corev1.PodSpec{Containers: []corev1.Container{{
		Name: "main", Image: "registry.example.com/world/" + image + ":v1.14.2",
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
		}},
	}}}
	for _, e := range edits {
		e(&s)
	}
	return s
}

// Grace sets the grace period.
func Grace(seconds int64) Edit {
	return func(s *corev1.PodSpec) { s.TerminationGracePeriodSeconds = &seconds }
}

// Tolerate lets the pod come to a node that takes only its own, and to those with taints of the keys.
func Tolerate(node string, keys ...string) Edit {
	return func(s *corev1.PodSpec) {
		s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: Pool, Operator: corev1.TolerationOpEqual, Value: node})
		for _, key := range keys {
			s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
		}
	}
}

// Everywhere lets the pod run on any node, as agents of nodes do.
func Everywhere(s *corev1.PodSpec) {
	s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
}

// Only lets the pod run on nodes with that label alone.
func Only(key, value string) Edit {
	return func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{key: value} }
}

// Prefer puts the pod on the node as long as it takes any; a replacement may go elsewhere.
func Prefer(node string) Edit {
	return func(s *corev1.PodSpec) {
		s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}}},
		}}}}
		// The scheduler's own spreading would outweigh the preference.
		s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelOSStable, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{},
		}}
	}
}

// Leaves lets the pod be deleted soon after its node is called unreachable or not ready.
func Leaves(after int64) Edit {
	return func(s *corev1.PodSpec) {
		for _, key := range []string{corev1.TaintNodeUnreachable, corev1.TaintNodeNotReady} {
			s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &after})
		}
	}
}

// Claim mounts a claim.
func Claim(name string) Edit {
	return func(s *corev1.PodSpec) {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
		s.Containers[0].VolumeMounts = append(s.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/var/lib/" + name})
	}
}

// Labels are those of a workload's pods.
func Labels(name string) map[string]string { return map[string]string{app: name} }

func template(name string, s corev1.PodSpec) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: Labels(name)}, Spec: s}
}

// Deploy makes a Deployment and waits until all its pods run, on the node where one is named.
func (w *World) Deploy(ctx context.Context, namespace, name, node string, replicas int32, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	_, err := w.Client().AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: Labels(name)}, Template: template(name, s)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create Deployment %s/%s: %w", namespace, name, err)
	}
	return w.Until(ctx, namespace, name, int(replicas), On(node))
}

// Set makes a StatefulSet of one replica and waits until it runs.
func (w *World) Set(ctx context.Context, namespace, name, node string, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	one := int32(1)
	_, err := w.Client().AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &one, ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: Labels(name)}, Template: template(name, s),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create StatefulSet %s/%s: %w", namespace, name, err)
	}
	return w.Until(ctx, namespace, name, 1, On(node))
}

// Daemon makes a DaemonSet and waits until a pod of it runs on the node.
func (w *World) Daemon(ctx context.Context, namespace, name, node string, s corev1.PodSpec) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	_, err := w.Client().AppsV1().DaemonSets(namespace).Create(ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: Labels(name)}, Template: template(name, s)},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create DaemonSet %s/%s: %w", namespace, name, err)
	}
	return w.Until(ctx, namespace, name, 1, On(node))
}

// Disk makes a volume of the bed's CSI driver that one node may have at a time, and a claim that is bound to it.
func (w *World) Disk(ctx context.Context, namespace, claim, volume string) error {
	if err := w.EnsureNamespace(ctx, namespace); err != nil {
		return err
	}
	size, none := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}, ""
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	_, err := w.Client().CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volume},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:               &corev1.ObjectReference{Namespace: namespace, Name: claim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: csi.DriverName, VolumeHandle: "vol-" + volume}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PersistentVolume %s: %w", volume, err)
	}
	_, err = w.Client().CoreV1().PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, Resources: corev1.VolumeResourceRequirements{Requests: size}, StorageClassName: &none, VolumeName: volume,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create PersistentVolumeClaim %s/%s: %w", namespace, claim, err)
	}
	return nil
}

// Attached lists the nodes that have the volume, or are about to, says the API.
func (w *World) Attached(ctx context.Context, volume string) ([]string, error) {
	list, err := w.Client().StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list VolumeAttachments: %w", err)
	}
	var out []string
	for _, va := range list.Items {
		if n := va.Spec.Source.PersistentVolumeName; n != nil && *n == volume {
			out = append(out, va.Spec.NodeName)
		}
	}
	return out, nil
}

// Check says why a pod is not as it should be.
type Check func(*corev1.Pod) error

// On pods are Running and Ready on the node, or on any.
func On(node string) Check {
	return func(p *corev1.Pod) error {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
		if !ready || p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil || node != "" && p.Spec.NodeName != node {
			return fmt.Errorf("pod %s/%s is %s on %q, Ready %v, deleted %v; want it Ready on %q", p.Namespace, p.Name, p.Status.Phase, p.Spec.NodeName, ready, p.DeletionTimestamp, node)
		}
		return nil
	}
}

// Off pods are Ready on any node but this one.
func Off(node string) Check {
	return func(p *corev1.Pod) error {
		if p.Spec.NodeName == node {
			return fmt.Errorf("pod %s/%s is on %s, deleted %v", p.Namespace, p.Name, node, p.DeletionTimestamp)
		}
		return On("")(p)
	}
}

// Pods lists the pods of a workload.
func (w *World) Pods(ctx context.Context, namespace, name string) ([]corev1.Pod, error) {
	list, err := w.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: app + "=" + name})
	if err != nil {
		return nil, fmt.Errorf("list the pods of %s/%s: %w", namespace, name, err)
	}
	return list.Items, nil
}

// Until waits until that many pods of a workload, or more, are as they should be.
func (w *World) Until(ctx context.Context, namespace, name string, atLeast int, is Check) error {
	return bed.Poll(ctx, Soon, func(ctx context.Context) error {
		pods, err := w.Pods(ctx, namespace, name)
		if err != nil {
			return err
		}
		n, why := 0, error(nil)
		for _, p := range pods {
			if err := is(&p); err != nil {
				why = err
			} else {
				n++
			}
		}
		if n < atLeast {
			return fmt.Errorf("%d of %d pods of %s/%s are as they should be: %w", n, atLeast, namespace, name, why)
		}
		return nil
	})
}

// UntilNode waits until a Node is as it should be.
func (w *World) UntilNode(ctx context.Context, within time.Duration, name string, is func(*corev1.Node) error) error {
	return bed.Poll(ctx, within, func(ctx context.Context) error {
		n, err := w.Client().CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get node %s: %w", name, err)
		}
		return is(n)
	})
}

// Ready tells what a node's condition is.
func Ready(want corev1.ConditionStatus) func(*corev1.Node) error {
	return func(n *corev1.Node) error {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == want {
				return nil
			}
		}
		return fmt.Errorf("node %s is not Ready=%s", n.Name, want)
	}
}

// Merge changes a Node as somebody does by hand.
func (w *World) Merge(ctx context.Context, node, patch string) error {
	if _, err := w.Client().CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("patch node %s: %w", node, err)
	}
	return nil
}

// Taint adds a taint to a node, as kubectl taint does.
func (w *World) Taint(ctx context.Context, node string, taint corev1.Taint) error {
	return bed.Poll(ctx, Soon, func(ctx context.Context) error {
		n, err := w.Client().CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get node %s: %w", node, err)
		}
		n.Spec.Taints = append(n.Spec.Taints, taint)
		if _, err = w.Client().CoreV1().Nodes().Update(ctx, n, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("taint node %s: %w", node, err)
		}
		return nil
	})
}

// Tainted tells whether the node has a taint of that key.
func Tainted(n *corev1.Node, key string) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
}
