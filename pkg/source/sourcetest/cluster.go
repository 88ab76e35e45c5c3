package sourcetest

import (
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Taken is the moment at which Cluster's objects are as they are.
func Taken() time.Time { return time.Date(2026, 3, 4, 9, 30, 0, 250_000_000, time.UTC) }

// Cluster returns at least one object of every kind that a snapshot can hold: a small cluster in trouble, that an API server
// accepts. Node-b is lost; on it pods are Terminating, one in its cleanup stage, and two others wait for volumes and a ConfigMap.
func Cluster() []runtime.Object {
	var out []runtime.Object
	add := func(o ...runtime.Object) { out = append(out, o...) }
	for _, n := range []string{"default", "kube-system", "kube-node-lease", "shop", "ops"} {
		add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}})
	}
	add(node("node-a", corev1.ConditionTrue, "KubeletReady"), node("node-b", corev1.ConditionUnknown, "NodeStatusUnknown"))
	add(lease("node-a", 8*time.Second), lease("node-b", 14*time.Minute))
	add(pods()...)
	add(workloads()...)
	add(storage()...)
	add(events()...)
	add(policies()...)
	add(extensions()...)
	add(
		&corev1.ConfigMap{ObjectMeta: named("shop", "settings"), Data: map[string]string{"mode": "fast"}},
		&corev1.Secret{ObjectMeta: named("shop", "login"), Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"password": []byte("hunter2")}},
		&corev1.Service{ObjectMeta: named("shop", "policy"), Spec: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(8443), Protocol: corev1.ProtocolTCP}}, Selector: map[string]string{"app": "policy"},
		}},
		&discoveryv1.EndpointSlice{
			ObjectMeta:  labelled(named("shop", "policy-x2x2x"), discoveryv1.LabelServiceName, "policy"),
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.2.3"}}},
		},
		webhook(),
		&admissionv1.ValidatingWebhookConfiguration{ObjectMeta: named("", "audit"), Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "audit.example.com", ClientConfig: admissionv1.WebhookClientConfig{URL: ptr("https://audit.example.com/check")},
			SideEffects: ptr(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, FailurePolicy: ptr(admissionv1.Ignore),
		}}},
		&nodev1.RuntimeClass{ObjectMeta: named("", "sandboxed"), Handler: "runsc"},
	)
	return out
}

func ptr[T any](v T) *T { return &v }

// ago is a time before Taken, in whole seconds as metav1.Time keeps it.
func ago(d time.Duration) metav1.Time { return metav1.NewTime(Taken().Add(-d).Truncate(time.Second)) }

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: ago(24 * time.Hour)}
}

func labelled(m metav1.ObjectMeta, kv ...string) metav1.ObjectMeta {
	m.Labels = map[string]string{}
	for i := 0; i+1 < len(kv); i += 2 {
		m.Labels[kv[i]] = kv[i+1]
	}
	return m
}

func node(name string, ready corev1.ConditionStatus, reason string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: labelled(named("", name), "kubernetes.io/hostname", name),
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Reason: reason, Message: "as seen by " + name, LastHeartbeatTime: ago(time.Minute), LastTransitionTime: ago(13 * time.Minute)}},
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.7"}, {Type: corev1.NodeHostName, Address: name}},
			Allocatable: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("3920m"), corev1.ResourceMemory: resource.MustParse("15Gi"), corev1.ResourcePods: resource.MustParse("110"),
			},
			NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "containerd://2.4.2"},
		},
	}
}

func lease(node string, age time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: named("kube-node-lease", node),
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr(node), LeaseDurationSeconds: ptr(int32(40)), RenewTime: &metav1.MicroTime{Time: Taken().Add(-age).Truncate(time.Microsecond)},
		},
	}
}

func pod(namespace, name, node, app string, phase corev1.PodPhase, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: labelled(named(namespace, name), "app", app),
		Spec: corev1.PodSpec{
			NodeName: node, RestartPolicy: corev1.RestartPolicyAlways, SchedulerName: "default-scheduler", ServiceAccountName: "default",
			TerminationGracePeriodSeconds: ptr(int64(30)), DNSPolicy: corev1.DNSClusterFirst,
			Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/" + app + ":1", ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePolicy: corev1.TerminationMessageReadFile}},
		},
		Status: corev1.PodStatus{Phase: phase, StartTime: ptr(ago(time.Hour))},
	}
	if phase == corev1.PodRunning {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Ready: true, Started: ptr(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}}}}
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func deleted(since time.Duration, finalizer string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = ptr(ago(since)), ptr(int64(30))
		if finalizer != "" {
			p.Finalizers = []string{finalizer}
			fields := &metav1.FieldsV1{}
			fields.SetRawString(`{"f:metadata":{"f:finalizers":{".":{},"v:\"example.com/hold\"":{}}}}`)
			p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "hold-operator", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: ptr(ago(2 * time.Hour)), FieldsType: "FieldsV1", FieldsV1: fields}}
		}
	}
}

func waiting(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "back-off"}}}}
	}
}

func owned(kind, apiVersion, name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID("uid-of-" + name), Controller: ptr(true)}}
	}
}

func mounts(claim string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}})
	}
}

func pods() []runtime.Object {
	return []runtime.Object{
		pod("shop", "cart-0", "node-b", "cart", corev1.PodRunning, deleted(12*time.Minute, ""), owned("StatefulSet", "apps/v1", "cart"), mounts("data-cart-0")),
		pod("shop", "web-7d9f8c6b5-abcde", "node-b", "web", corev1.PodRunning, deleted(11*time.Minute, ""), owned("ReplicaSet", "apps/v1", "web-7d9f8c6b5")),
		pod("shop", "web-7d9f8c6b5-fghij", "node-a", "web", corev1.PodRunning, owned("ReplicaSet", "apps/v1", "web-7d9f8c6b5")),
		pod("shop", "migrate-x", "node-a", "migrate", corev1.PodSucceeded, deleted(30*time.Minute, "example.com/hold"), owned("Job", "batch/v1", "migrate"), func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: ago(time.Hour)}}}}
		}),
		pod("ops", "evicted", "node-a", "batch", corev1.PodFailed, func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Status.Reason, p.Status.Message = "Evicted", "The node was low on resource: memory."
		}),
		pod("ops", "needs-config", "node-a", "needs", corev1.PodPending, waiting("CreateContainerConfigError"), func(p *corev1.Pod) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "absent"}}}}
			p.Spec.RuntimeClassName = ptr("sandboxed")
		}),
		pod("shop", "needs-secret", "node-b", "needs", corev1.PodPending, waiting("ContainerCreating"), func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "login", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "login"}}}}
		}),
		pod("shop", "unscheduled", "", "cart", corev1.PodPending, func(p *corev1.Pod) {
			p.Status.StartTime = nil
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/2 nodes are available", LastTransitionTime: ago(20 * time.Minute)}}
		}, mounts("lost-claim")),
		pod("ops", "with-sidecar", "node-a", "side", corev1.PodPending, func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{
				{Name: "proxy", Image: "registry.example.com/proxy:1", RestartPolicy: ptr(corev1.ContainerRestartPolicyAlways), ImagePullPolicy: corev1.PullIfNotPresent},
				{Name: "setup", Image: "registry.example.com/setup:1", ImagePullPolicy: corev1.PullIfNotPresent},
			}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{
				{Name: "proxy", Ready: true, Started: ptr(true), RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}}},
				{Name: "setup", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}},
			}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}
		}),
		pod("ops", "agent-a", "node-a", "agent", corev1.PodRunning, owned("DaemonSet", "apps/v1", "agent"), func(p *corev1.Pod) { p.Labels = nil }),
	}
}

func workloads() []runtime.Object {
	selector := func(app string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	}
	template := func(app string) corev1.PodTemplateSpec {
		p := pod("", "", "", app, "")
		return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec}
	}
	rs := &appsv1.ReplicaSet{ObjectMeta: named("shop", "web-7d9f8c6b5"), Spec: appsv1.ReplicaSetSpec{Replicas: ptr(int32(2)), Selector: selector("web"), Template: template("web")}}
	rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "uid-of-web", Controller: ptr(true)}}
	job := template("migrate")
	job.Spec.RestartPolicy = corev1.RestartPolicyNever
	return []runtime.Object{
		&appsv1.Deployment{ObjectMeta: named("shop", "web"), Spec: appsv1.DeploymentSpec{Replicas: ptr(int32(2)), Selector: selector("web"), Template: template("web")}},
		rs,
		&appsv1.StatefulSet{ObjectMeta: named("shop", "cart"), Spec: appsv1.StatefulSetSpec{Replicas: ptr(int32(1)), ServiceName: "cart", Selector: selector("cart"), Template: template("cart")}},
		&appsv1.DaemonSet{ObjectMeta: named("ops", "agent"), Spec: appsv1.DaemonSetSpec{Selector: selector("agent"), Template: template("agent")}, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, NumberReady: 1}},
		&batchv1.Job{ObjectMeta: named("shop", "migrate"), Spec: batchv1.JobSpec{Template: job}},
		&policyv1.PodDisruptionBudget{ObjectMeta: named("shop", "cart"), Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr(intstr.FromInt32(0)), Selector: selector("cart")}},
	}
}

func storage() []runtime.Object {
	quantity := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1500Mi")}
	return []runtime.Object{
		&corev1.PersistentVolumeClaim{
			ObjectMeta: named("shop", "data-cart-0"),
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeName: "pv-1", StorageClassName: ptr("fast"),
				Resources: corev1.VolumeResourceRequirements{Requests: quantity},
			},
			Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
		},
		&corev1.PersistentVolume{
			ObjectMeta: named("", "pv-1"),
			Spec: corev1.PersistentVolumeSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: quantity, StorageClassName: "fast",
				PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.example.com", VolumeHandle: "vol-0123"}},
				ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data-cart-0"},
			},
			Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
		},
		&storagev1.StorageClass{ObjectMeta: named("", "fast"), Provisioner: "disk.example.com"},
		&storagev1.VolumeAttachment{
			ObjectMeta: named("", "csi-1"),
			Spec:       storagev1.VolumeAttachmentSpec{Attacher: "disk.example.com", NodeName: "node-b", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr("pv-1")}},
			Status:     storagev1.VolumeAttachmentStatus{Attached: true, DetachError: &storagev1.VolumeError{Time: ago(time.Minute), Message: "rpc error: code = DeadlineExceeded"}},
		},
		&storagev1.CSINode{ObjectMeta: named("", "node-b"), Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "disk.example.com", NodeID: "i-0b"}}}},
		&storagev1.CSIDriver{ObjectMeta: named("", "disk.example.com"), Spec: storagev1.CSIDriverSpec{AttachRequired: ptr(true)}},
	}
}

func webhook() runtime.Object {
	return &admissionv1.MutatingWebhookConfiguration{ObjectMeta: named("", "inject"), Webhooks: []admissionv1.MutatingWebhook{{
		Name:         "inject.example.com",
		ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "shop", Name: "policy", Path: ptr("/mutate")}},
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}},
		FailurePolicy: ptr(admissionv1.Ignore), SideEffects: ptr(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr(int32(1)),
	}}}
}

func events() []runtime.Object {
	about := func(kind, name string) corev1.ObjectReference {
		return corev1.ObjectReference{Kind: kind, Namespace: "shop", Name: name, APIVersion: "v1"}
	}
	return []runtime.Object{
		&corev1.Event{
			ObjectMeta: named("shop", "cart-0.1"), InvolvedObject: about("Pod", "cart-0"), Type: "Normal", Reason: "Killing", Message: "Stopping container main",
			Source: corev1.EventSource{Component: "kubelet", Host: "node-b"}, FirstTimestamp: ago(13 * time.Minute), LastTimestamp: ago(12 * time.Minute), Count: 3,
		},
		&corev1.Event{
			ObjectMeta: named("shop", "needs-secret.1"), InvolvedObject: about("Pod", "needs-secret"), Type: "Warning", Reason: "FailedMount", Message: `MountVolume.SetUp failed for volume "login": timed out`,
			Source: corev1.EventSource{Component: "kubelet", Host: "node-b"}, FirstTimestamp: ago(9 * time.Minute), LastTimestamp: ago(time.Minute), Count: 5,
		},
		&corev1.Event{ // as the scheduler writes it, with the newer fields only
			ObjectMeta: named("shop", "unscheduled.1"), InvolvedObject: about("Pod", "unscheduled"), Type: "Warning", Reason: "FailedScheduling", Message: "0/2 nodes are available",
			EventTime: metav1.MicroTime{Time: Taken().Add(-20 * time.Minute).Truncate(time.Microsecond)}, ReportingController: "default-scheduler", ReportingInstance: "scheduler-1", Action: "Scheduling",
			Series: &corev1.EventSeries{Count: 4, LastObservedTime: metav1.MicroTime{Time: Taken().Add(-5 * time.Minute).Add(123456 * time.Microsecond)}},
		},
		&corev1.Event{
			ObjectMeta: named("default", "node-b.1"), InvolvedObject: corev1.ObjectReference{Kind: "Node", Name: "node-b", UID: "node-b"}, Type: "Warning", Reason: "NodeNotReady", Message: "Node node-b status is now: NodeNotReady",
			Source: corev1.EventSource{Component: "node-controller"}, FirstTimestamp: ago(13 * time.Minute), LastTimestamp: ago(13 * time.Minute), Count: 1,
		},
		&corev1.Event{
			ObjectMeta: named("shop", "data-cart-0.1"), InvolvedObject: about("PersistentVolumeClaim", "data-cart-0"), Type: "Normal", Reason: "WaitForFirstConsumer", Message: "waiting",
			Source: corev1.EventSource{Component: "persistentvolume-controller"}, FirstTimestamp: ago(3 * time.Hour), LastTimestamp: ago(3 * time.Hour), Count: 1,
		},
	}
}
