package scenario

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
)

const (
	// appLabel names a workload's pods.
	appLabel = "app.kubernetes.io/name"
	// poolLabel is on a scenario's own nodes, as a taint too, so that only its
	// own pods go there.
	poolLabel = "shop.example.com/pool"

	registry = "registry.example.com"

	runningTimeout = 90 * time.Second
)

// ownNodeOptions are those of a node that belongs to one scenario.
func ownNodeOptions(name string) bed.NodeOptions {
	return bed.NodeOptions{
		Labels: map[string]string{poolLabel: name},
		Taints: []corev1.Taint{{Key: poolLabel, Value: name, Effect: corev1.TaintEffectNoSchedule}},
	}
}

// workload is a Deployment, or a single pod, of one container.
type workload struct {
	namespace, name string
	image           string // below the registry; the name when empty
	replicas        int32
	// node is where the pods prefer to be; it is the scenario's own, or one of
	// the healthy ones.
	node string
	// apart puts each replica on a node of its own.
	apart   bool
	command []string
	// edit changes the pod's spec at last.
	edit func(*corev1.PodSpec)
}

func (w workload) labels() map[string]string { return map[string]string{appLabel: w.name} }

func (w workload) template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: w.labels()}, Spec: w.spec()}
}

func (w workload) spec() corev1.PodSpec {
	image := w.image
	if image == "" {
		image = registry + "/" + w.namespace + "/" + w.name + ":v1.14.2"
	}
	spec := corev1.PodSpec{
		Containers: []corev1.Container{{
			Name:    w.name,
			Image:   image,
			Command: w.command,
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{
					corev1.ResourceCPU:    resource.MustParse("50m"),
					corev1.ResourceMemory: resource.MustParse("64Mi"),
				},
			},
		}},
	}
	if w.node != "" {
		preferNode(&spec, w.node)
	}
	if w.apart {
		spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				LabelSelector: &metav1.LabelSelector{MatchLabels: w.labels()},
				TopologyKey:   corev1.LabelHostname,
			}},
		}}
	}
	if w.edit != nil {
		w.edit(&spec)
	}
	return spec
}

// preferNode puts pods on a node as long as it takes any, and elsewhere when it
// does not: a replacement must not be Pending only because its node is gone.
func preferNode(spec *corev1.PodSpec, node string) {
	spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
		Key: poolLabel, Operator: corev1.TolerationOpEqual, Value: node, Effect: corev1.TaintEffectNoSchedule,
	})
	spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100,
			Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}}},
		}},
	}}
	// The scheduler's default spreading would outweigh the preference; a
	// topology that all nodes share puts it out of the way.
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelOSStable, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{},
	}}
}

// deploy makes the workload's namespace and a Deployment.
func (w workload) deploy(ctx context.Context, c *bed.Cluster) error {
	if err := c.EnsureNamespace(ctx, w.namespace); err != nil {
		return err
	}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: w.labels()},
		Spec: appsv1.DeploymentSpec{
			Replicas: &w.replicas,
			Selector: &metav1.LabelSelector{MatchLabels: w.labels()},
			Template: w.template(),
		},
	}
	if _, err := c.Client().AppsV1().Deployments(w.namespace).Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Deployment %s/%s: %w", w.namespace, w.name, err)
	}
	return nil
}

// deployRunning deploys and waits until all replicas run where they should.
func (w workload) deployRunning(ctx context.Context, c *bed.Cluster) error {
	if err := w.deploy(ctx, c); err != nil {
		return err
	}
	return w.running(ctx, c)
}

func (w workload) running(ctx context.Context, c *bed.Cluster) error {
	return bed.Poll(ctx, runningTimeout, func(ctx context.Context) error {
		_, err := pods(ctx, c, w.namespace, w.name, int(w.replicas), inState(Running), onNode(w.node))
		return err
	})
}

// pod makes the workload's namespace and a bare pod of its name.
func (w workload) pod(ctx context.Context, c *bed.Cluster) error {
	if err := c.EnsureNamespace(ctx, w.namespace); err != nil {
		return err
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: w.name, Labels: w.labels()},
		Spec:       w.spec(),
	}
	if _, err := c.Client().CoreV1().Pods(w.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create pod %s/%s: %w", w.namespace, w.name, err)
	}
	return nil
}

func (w workload) podRunning(ctx context.Context, c *bed.Cluster) error {
	w.replicas = 1
	if err := w.pod(ctx, c); err != nil {
		return err
	}
	return w.running(ctx, c)
}

// job makes a Job of the workload, in a namespace that is there.
func (w workload) job(ctx context.Context, c *bed.Cluster) error {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Spec: batchv1.JobSpec{Template: w.template()}}
	if _, err := c.Client().BatchV1().Jobs(w.namespace).Create(ctx, job, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create Job %s/%s: %w", w.namespace, w.name, err)
	}
	return nil
}

// deletePods deletes all the workload's pods, as somebody does who hopes that
// this helps.
func (w workload) deletePods(ctx context.Context, c *bed.Cluster) error {
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: w.labels()})
	err := c.Client().CoreV1().Pods(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return fmt.Errorf("delete the pods of %s/%s: %w", w.namespace, w.name, err)
	}
	return nil
}

// shortTolerations makes pods leave a lost node after seconds, not after the
// usual five minutes.
func shortTolerations(spec *corev1.PodSpec) {
	seconds := int64(5)
	for _, key := range []string{corev1.TaintNodeUnreachable, corev1.TaintNodeNotReady} {
		spec.Tolerations = append(spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
}

func withGrace(seconds int64) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) { spec.TerminationGracePeriodSeconds = &seconds }
}

// withVolume mounts a volume into the pod's only container.
func withVolume(name, path string, source corev1.VolumeSource) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
	}
}

func both(edits ...func(*corev1.PodSpec)) func(*corev1.PodSpec) {
	return func(spec *corev1.PodSpec) {
		for _, edit := range edits {
			edit(spec)
		}
	}
}
