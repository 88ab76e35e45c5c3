package crowd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// state is how pod i of the crowd is doing.
type state int

const (
	healthy state = iota
	terminating
	creating
	completed
	evicted
)

// pod is a pod of the crowd: its number, where it is and how it is doing.
type pod struct {
	number    int
	namespace string
	node      string
	state     state
}

// pods lists the crowd. Pod i is on node i mod Nodes, so that every node has the same share.
func (p Plan) pods() []pod {
	out := make([]pod, p.Pods)
	for i := range out {
		node, rank := i%p.Nodes, i/p.Nodes
		s := healthy
		switch stuck := node < p.StuckNodes && rank*p.StuckNodes+node < p.Stuck; {
		case stuck && rank%2 == 0:
			s = terminating
		case stuck:
			s = creating
		case i%100 == 99:
			s = completed
		case i%500 == 98:
			s = evicted
		}
		// A workload has 20 pods next to each other in a namespace, spread over 20 nodes.
		out[i] = pod{number: i, namespace: NamespaceName(i / 20 % p.Namespaces), node: NodeName(node), state: s}
	}
	return out
}

func (p pod) app() string  { return fmt.Sprintf("service-%04d", p.number/20) }
func (p pod) hash() string { return digest(20, p.number/20)[:10] }
func (p pod) name() string { return fmt.Sprintf("%s-%s-%05x", p.app(), p.hash(), p.number) }

// digest makes 64 hexadecimal digits that no compression shortens, like the ones of a real cluster.
func digest(kind, number int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d", kind, number))
	return hex.EncodeToString(sum[:])
}

func uid(kind, number int) types.UID {
	d := digest(kind, number)
	return types.UID(d[:8] + "-" + d[8:12] + "-4" + d[13:16] + "-8" + d[17:20] + "-" + d[20:32])
}

func at(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// object makes the pod as the API server stores it: with what defaulting, the scheduler, the kubelet and two
// controllers added, about 7 kB in JSON.
func (p pod) object(now time.Time) *corev1.Pod {
	yes, no, user := true, false, int64(10001)
	grace, tolerate, priority := int64(30), int64(300), int32(0)
	policy := corev1.PreemptLowerPriority
	mode, expiry := int32(0o644), int64(3607)
	created := at(now.Add(-26*time.Hour - time.Duration(p.number*7919%900000)*time.Second))
	if p.state == creating {
		created = at(now.Add(-14 * time.Minute))
	}
	proxy := p.container("proxy", "registry.example/mesh/proxy:1.31.0", &yes, &no)
	proxy.Args, proxy.Ports, proxy.Env, proxy.LivenessProbe, proxy.ReadinessProbe, proxy.SecurityContext = nil, nil, nil, nil, nil, nil
	proxy.VolumeMounts = proxy.VolumeMounts[2:]
	o := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.name(), GenerateName: p.app() + "-" + p.hash() + "-", Namespace: p.namespace, UID: uid(1, p.number),
			CreationTimestamp: created, Generation: 1,
			Labels: map[string]string{
				"app.kubernetes.io/name": p.app(), "app.kubernetes.io/instance": p.app() + "-prod",
				"app.kubernetes.io/part-of": "storefront", "app.kubernetes.io/version": "4.18.2",
				"pod-template-hash": p.hash(), "team": p.namespace,
			},
			Annotations: map[string]string{
				"kubectl.kubernetes.io/restartedAt": "2026-01-15T08:00:00Z", "prometheus.io/scrape": "true",
				"prometheus.io/port": "9090", "checksum/config": digest(21, p.number/20),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: p.app() + "-" + p.hash(), UID: uid(2, p.number/20),
				Controller: &yes, BlockOwnerDeletion: &yes,
			}},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &created, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(specFields)}},
				{Manager: "kubelet", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &created, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(statusFields)}, Subresource: "status"},
			},
		},
		Spec: corev1.PodSpec{
			NodeName: p.node, RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst,
			ServiceAccountName: "default", DeprecatedServiceAccount: "default", SchedulerName: "default-scheduler",
			TerminationGracePeriodSeconds: &grace, EnableServiceLinks: &yes, Priority: &priority, PreemptionPolicy: &policy,
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, FSGroup: &user},
			Tolerations: []corev1.Toleration{
				{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &tolerate},
				{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &tolerate},
			},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: p.app() + "-config"}, DefaultMode: &mode}}},
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: &mode, Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &expiry, Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
					{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
				}}}},
			},
			Containers: []corev1.Container{p.container("server", "registry.example/shop/server:4.18.2", &yes, &no), proxy},
		},
		Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable, ObservedGeneration: 1, HostIP: "10.0.0.10", HostIPs: []corev1.HostIP{{IP: "10.0.0.10"}}, StartTime: &created},
	}
	if p.state == terminating || p.state == creating { // some of the stuck pods share a volume server
		if p.number/20%5 == 0 {
			o.Spec.Volumes = append(o.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: p.app() + "-data"}}})
		}
	}
	p.setStatus(o, now)
	return o
}

func (p pod) container(name, image string, yes, no *bool) corev1.Container {
	probe := func(path string) *corev1.Probe {
		h := &corev1.HTTPGetAction{Path: path, Scheme: corev1.URISchemeHTTP}
		h.Port.IntVal = 8080
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: h}, TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
	}
	return corev1.Container{
		Name: name, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
		Args:  []string{"--listen=:8080", "--log-format=json", "--log-level=info", "--shutdown-delay=5s"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}, {Name: "metrics", ContainerPort: 9090, Protocol: corev1.ProtocolTCP}},
		Env: []corev1.EnvVar{
			{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
			{Name: "DATABASE_URL", Value: "postgres://" + p.app() + "-db." + p.namespace + ".svc:5432/app?sslmode=verify-full"},
			{Name: "FEATURE_FLAGS", Value: "checkout-v2,search-rerank,lazy-images"}, {Name: "GOMAXPROCS", Value: "2"},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", ReadOnly: true, MountPath: "/etc/app"}, {Name: "tmp", MountPath: "/tmp"},
			{Name: "kube-api-access", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"},
		},
		LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: no, ReadOnlyRootFilesystem: yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
	}
}

// setStatus gives the pod the status that a kubelet would have reported.
func (p pod) setStatus(o *corev1.Pod, now time.Time) {
	s := &o.Status
	started := o.CreationTimestamp
	condition := func(t corev1.PodConditionType, ok bool, reason string) {
		c := corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: started, ObservedGeneration: 1}
		if !ok {
			c.Status, c.Reason = corev1.ConditionFalse, reason
		}
		s.Conditions = append(s.Conditions, c)
	}
	up := p.state == healthy || p.state == terminating
	condition(corev1.PodReadyToStartContainers, up, "")
	condition(corev1.PodInitialized, true, "")
	condition(corev1.PodReady, up, "ContainersNotReady")
	condition(corev1.ContainersReady, up, "ContainersNotReady")
	condition(corev1.PodScheduled, true, "")
	for i := range o.Spec.Containers {
		c := corev1.ContainerStatus{Name: o.Spec.Containers[i].Name, Image: o.Spec.Containers[i].Image, Ready: up, Started: &up}
		switch p.state {
		case creating:
			c.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		case completed, evicted:
			c.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: started, FinishedAt: started}
		default:
			c.State.Running = &corev1.ContainerStateRunning{StartedAt: started}
			c.ImageID = "registry.example/shop/server@sha256:" + digest(22, p.number/20)
			c.ContainerID = "containerd://" + digest(23+i, p.number)
		}
		s.ContainerStatuses = append(s.ContainerStatuses, c)
	}
	switch p.state {
	case creating:
		s.Phase = corev1.PodPending
		return
	case completed:
		s.Phase = corev1.PodSucceeded
	case evicted:
		s.Phase, s.Reason, s.Message = corev1.PodFailed, "Evicted", "The node was low on resource: ephemeral-storage."
	case terminating:
		s.Phase = corev1.PodRunning
		grace, gone := int64(30), at(now.Add(-16*time.Minute))
		o.DeletionGracePeriodSeconds, o.DeletionTimestamp = &grace, &gone
	default:
		s.Phase = corev1.PodRunning
	}
	s.PodIP = fmt.Sprintf("10.%d.%d.%d", 128+p.number>>16&127, p.number>>8&255, p.number&255)
	s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
}

// events are what the kubelet said about the pod.
func (p pod) events(now time.Time) []*corev1.Event {
	event := func(n int, kind, reason, message string) *corev1.Event {
		first, last := at(now.Add(-15*time.Minute)), at(now.Add(-time.Minute))
		return &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("%s.%016x", p.name(), n), Namespace: p.namespace, UID: uid(10+n, p.number), CreationTimestamp: first,
			},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.namespace, Name: p.name(), UID: uid(1, p.number)},
			Type:           kind, Reason: reason, Message: message, Count: 14, FirstTimestamp: first, LastTimestamp: last,
			Source: corev1.EventSource{Component: "kubelet", Host: p.node}, ReportingController: "kubelet", ReportingInstance: p.node,
		}
	}
	switch p.state {
	case terminating:
		return []*corev1.Event{
			event(1, corev1.EventTypeNormal, "Killing", "Stopping container server"),
			event(2, corev1.EventTypeWarning, "FailedKillPod", `error killing pod: [failed to "KillContainer" for "server" with KillContainerError: "rpc error: code = DeadlineExceeded desc = context deadline exceeded"]`),
		}
	case creating:
		return []*corev1.Event{
			event(1, corev1.EventTypeNormal, "Scheduled", fmt.Sprintf("Successfully assigned %s/%s to %s", p.namespace, p.name(), p.node)),
			event(2, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
		}
	default:
		return []*corev1.Event{event(1, corev1.EventTypeNormal, "Pulled", `Container image "registry.example/shop/server:4.18.2" already present on machine`)}
	}
}

// node makes node i, Ready.
func (p Plan) node(i int, now time.Time) *corev1.Node {
	name := NodeName(i)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("128Gi"),
		corev1.ResourcePods: resource.MustParse("250"), corev1.ResourceEphemeralStorage: resource.MustParse("400Gi"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: uid(3, i), CreationTimestamp: at(now.Add(-240 * time.Hour)),
			Labels: map[string]string{
				corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
				corev1.LabelTopologyZone: fmt.Sprintf("eu-1%c", 'a'+i%3), corev1.LabelTopologyRegion: "eu-1", corev1.LabelInstanceTypeStable: "m.8xlarge",
			},
			Annotations: map[string]string{"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
		},
		Spec: corev1.NodeSpec{ProviderID: "example://" + name, PodCIDR: "10.128.0.0/24"},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.10"}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo: corev1.NodeSystemInfo{
				KernelVersion: "6.8.0-71-generic", OSImage: "Ubuntu 24.04.3 LTS", ContainerRuntimeVersion: "containerd://2.4.2",
				KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64", BootID: string(uid(4, i)),
			},
		},
	}
	for t, ok := range map[corev1.NodeConditionType]corev1.ConditionStatus{
		corev1.NodeMemoryPressure: corev1.ConditionFalse, corev1.NodeDiskPressure: corev1.ConditionFalse,
		corev1.NodePIDPressure: corev1.ConditionFalse, corev1.NodeReady: corev1.ConditionTrue,
	} {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: t, Status: ok, Reason: "KubeletReady", LastHeartbeatTime: at(now), LastTransitionTime: n.CreationTimestamp})
	}
	for j := range 50 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{
			Names:     []string{fmt.Sprintf("registry.example/shop/image-%02d@sha256:%s", j, digest(30, j)), fmt.Sprintf("registry.example/shop/image-%02d:4.18.2", j)},
			SizeBytes: 120 << 20,
		})
	}
	return n
}

// lease makes the heartbeat of node i.
func (p Plan) lease(i int, now time.Time) *coordinationv1.Lease {
	name, seconds, renewed := NodeName(i), int32(40), metav1.NewMicroTime(now)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: corev1.NamespaceNodeLease, UID: uid(5, i), CreationTimestamp: at(now.Add(-240 * time.Hour)),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: name, UID: uid(3, i)}},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &renewed},
	}
}
