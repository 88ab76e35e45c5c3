package scenario

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-stuck/kubectl-stuck/test/bed"
	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// ConfigMissing are pods that want ConfigMaps and Secrets which are not there:
// as a volume, and as environment.
func ConfigMissing() Scenario {
	const namespace = "pricing"
	fromConfigMap := corev1.LocalObjectReference{Name: "rounding-rules"}
	fromSecret := corev1.LocalObjectReference{Name: "rates-api-token"}
	rules := workload{namespace: namespace, name: "rules", replicas: 1, edit: withVolume("rules", "/etc/rules",
		corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: fromConfigMap}})}
	rates := workload{namespace: namespace, name: "rates", replicas: 1, edit: withVolume("token", "/etc/token",
		corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: fromSecret.Name}})}
	calculator := workload{namespace: namespace, name: "calculator", replicas: 1, edit: func(spec *corev1.PodSpec) {
		spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: fromConfigMap}}}
	}}
	discounts := workload{namespace: namespace, name: "discounts", replicas: 1, edit: func(spec *corev1.PodSpec) {
		spec.Containers[0].Env = []corev1.EnvVar{{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: fromSecret, Key: "token"},
		}}}
	}}
	s := Scenario{
		Name: "config-missing",
		Doc:  "A ConfigMap and a Secret that four workloads want, as volumes and as environment, have not been made.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			return all(rules.deploy(ctx, c), rates.deploy(ctx, c), calculator.deploy(ctx, c), discounts.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				event(ctx, c, namespace, rules.name, "FailedMount", `configmap "rounding-rules" not found`),
				event(ctx, c, namespace, rates.name, "FailedMount", `secret "rates-api-token" not found`),
				enough(ctx, c, namespace, rules.name, 1, waiting("ContainerCreating")),
				enough(ctx, c, namespace, rates.name, 1, waiting("ContainerCreating")),
				enough(ctx, c, namespace, calculator.name, 1, waiting("CreateContainerConfigError")),
				enough(ctx, c, namespace, discounts.name, 1, waiting("CreateContainerConfigError")),
			)
		},
	}
	for _, w := range []workload{rules, rates, calculator, discounts} {
		s.Want = append(s.Want, Want{
			Namespace: namespace, Prefix: w.name, State: Starting, AtLeast: 1,
			Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"configmap-or-secret-missing", "config-missing-key"},
		})
	}
	return s
}

// ImageNotFound is a tag that nobody has pushed.
func ImageNotFound() Scenario {
	const namespace = "storefront"
	const image = registry + "/storefront/web:v2.41.0-rc9"
	web := workload{namespace: namespace, name: "web", replicas: 2, image: image}
	return Scenario{
		Name: "image-not-found",
		Doc:  "A Deployment names an image tag that its registry does not have.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			err := addFaultsToHealthy(ctx, c, fault.Rule{
				ID: "image-not-found", Call: fault.PullImage, Match: fault.Match{Image: image}, Action: fault.Fail, Code: codes.NotFound,
				Message: `failed to pull and unpack image "{image}": failed to resolve image: {image}: not found`,
			})
			return all(err, web.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, web.name, 2, waiting("ErrImagePull", "ImagePullBackOff")),
				event(ctx, c, namespace, web.name, "Failed", image, "not found"),
				event(ctx, c, namespace, web.name, "BackOff", image),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: web.name, State: Starting, AtLeast: 2, Reach: []Reach{ReachPod, ReachShared}, Causes: []string{"image-not-found"}},
		},
	}
}

// RegistryUnreachable is a registry that no node can reach.
func RegistryUnreachable() Scenario {
	const namespace, host = "analytics", "registry.analytics.example.com"
	clicks := workload{namespace: namespace, name: "clickstream", replicas: 2, apart: true, image: host + "/clickstream:v7.3"}
	reports := workload{namespace: namespace, name: "reports", replicas: 2, apart: true, image: host + "/reports:v1.0.4"}
	return Scenario{
		Name: "registry-unreachable",
		Doc:  "A registry does not answer any node: two workloads cannot pull their images from it, while other registries work.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			err := addFaultsToHealthy(ctx, c, fault.Rule{
				ID: "registry-unreachable", Call: fault.PullImage, Match: fault.Match{Image: host + "/**"}, Action: fault.Fail, Delay: time.Second,
				Message: `failed to pull and unpack image "{image}": failed to resolve image: failed to do request: Head "https://` + host + `/v2/": dial tcp 10.20.50.9:443: i/o timeout`,
			})
			return all(err, clicks.deploy(ctx, c), reports.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				enough(ctx, c, namespace, clicks.name, 2, waiting("ErrImagePull", "ImagePullBackOff")),
				enough(ctx, c, namespace, reports.name, 2, waiting("ErrImagePull", "ImagePullBackOff")),
				event(ctx, c, namespace, clicks.name, "Failed", "i/o timeout"),
				event(ctx, c, namespace, reports.name, "Failed", "i/o timeout"),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: clicks.name, State: Starting, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster}, Causes: []string{"image-registry-unreachable"}},
			{Namespace: namespace, Prefix: reports.name, State: Starting, AtLeast: 2, Reach: []Reach{ReachShared, ReachCluster}, Causes: []string{"image-registry-unreachable"}},
		},
	}
}

// Unschedulable are pods that fit nowhere: too much CPU, and a label that no
// node has.
func Unschedulable() Scenario {
	const namespace = "ml"
	trainer := workload{namespace: namespace, name: "ranking-trainer", replicas: 1, edit: func(spec *corev1.PodSpec) {
		spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("96")
	}}
	embedder := workload{namespace: namespace, name: "embedder", replicas: 1, edit: func(spec *corev1.PodSpec) {
		spec.NodeSelector = map[string]string{"shop.example.com/accelerator": "true"}
	}}
	return Scenario{
		Name: "unschedulable",
		Doc:  "One pod asks for more CPU than any node has, another for a label that no node has.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			return all(trainer.deploy(ctx, c), embedder.deploy(ctx, c))
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return all(
				event(ctx, c, namespace, trainer.name, "FailedScheduling", "Insufficient cpu"),
				event(ctx, c, namespace, embedder.name, "FailedScheduling", "didn't match Pod's node affinity/selector"),
			)
		},
		Want: []Want{
			{Namespace: namespace, Prefix: trainer.name, State: Pending, AtLeast: 1, Reach: []Reach{ReachPod, ReachCluster, ReachUndecided}, Causes: []string{"unschedulable-insufficient"}},
			{Namespace: namespace, Prefix: embedder.name, State: Pending, AtLeast: 1, Reach: []Reach{ReachPod, ReachCluster, ReachUndecided}, Causes: []string{"unschedulable-insufficient", "unschedulable-affinity"}},
		},
	}
}

// CrashLoop is a program that ends with an error as soon as it is started.
func CrashLoop() Scenario {
	const namespace = "loyalty"
	points := workload{namespace: namespace, name: "points", replicas: 1, command: []string{"sh", "-c", "sleep 1; exit 3"}}
	return Scenario{
		Name: "crash-loop",
		Doc:  "A container ends with exit code 3 a second after each start.",
		Setup: func(ctx context.Context, c *bed.Cluster) error {
			return points.deploy(ctx, c)
		},
		Check: func(ctx context.Context, c *bed.Cluster) error {
			return enough(ctx, c, namespace, points.name, 1, waiting("CrashLoopBackOff"))
		},
		Want: []Want{
			{Namespace: namespace, Prefix: points.name, AtLeast: 1, Reach: []Reach{ReachPod}, Causes: []string{"crashloop"}},
		},
	}
}
