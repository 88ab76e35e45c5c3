package remedy

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The fields of a Node that a restore compares.
const (
	fieldCordon     = "cordon"
	fieldLabel      = "label"
	fieldTaint      = "taint"
	fieldAnnotation = "annotation"
)

// ownedKey is a key of a Node, or a family of them, that somebody puts there by themselves.
type ownedKey struct {
	// key is a whole key, or what all keys of a family begin with: "feature.node.kubernetes.io/".
	key string
	// fields are those in which it is owned.
	fields []string
	owner  string
	// always tells that it is the owner's whoever wrote it last; else it is not where managedFields say that a person did.
	always bool
	// cloud tells that it is the owner's only on a node that a cloud provider knows: one with a providerID. Elsewhere people set these keys.
	cloud bool
	why   string
}

// ownedKeys are the keys that kubelets, controllers and agents own. The sources are in Kubernetes where none other is named.
func ownedKeys() []ownedKey {
	label, taint, note := []string{fieldLabel}, []string{fieldTaint}, []string{fieldAnnotation}
	both := []string{fieldLabel, fieldAnnotation}
	const (
		kubelet   = "kubelet"
		lifecycle = "node lifecycle controller"
		cloud     = "cloud-controller-manager"
		scaler    = "cluster-autoscaler"
		registers = "its kubelet sets it when it registers"
		condition = "it follows a condition of the node, and the node as it is now decides"
		marks     = "it marks a node that is to go, or has only begun to run: nobody would take it off again"
	)
	return []ownedKey{
		// pkg/kubelet/kubelet_node_status.go initialNode, updateDefaultLabels; pkg/kubelet/kubelet_node_status_windows.go getOSSpecificLabels.
		{corev1.LabelHostname, label, kubelet, true, false, registers},
		{corev1.LabelOSStable, label, kubelet, true, false, registers},
		{corev1.LabelArchStable, label, kubelet, true, false, registers},
		{"beta.kubernetes.io/os", label, kubelet, true, false, registers},
		{"beta.kubernetes.io/arch", label, kubelet, true, false, registers},
		{corev1.LabelWindowsBuild, label, kubelet, true, false, registers},
		// pkg/kubelet/kubelet_node_status.go initialNode, reconcileCMADAnnotationWithExistingNode.
		{"volumes.kubernetes.io/controller-managed-attach-detach", note, kubelet, true, false, registers},
		// pkg/volume/csi/nodeinfomanager updateNodeIDInNode: when a driver registers.
		{"csi.volume.kubernetes.io/nodeid", note, kubelet, true, false, "its kubelet sets it when CSI drivers register"},
		// pkg/kubelet/nodestatus/setters.go NodeAddress: cloud-provider/api AnnotationAlphaProvidedIPAddr.
		{"alpha.kubernetes.io/provided-node-ip", note, kubelet, true, false, "its kubelet sets it with its addresses"},
		// pkg/controller/ttl/ttl_controller.go.
		{corev1.ObjectTTLAnnotationKey, note, "ttl controller", true, false, "it follows the size of the cluster"},
		// pkg/controller/nodelifecycle/node_lifecycle_controller.go doNoScheduleTaintingPass, processTaintBaseEviction; plugin/pkg/admission/nodetaint.
		{corev1.TaintNodeNotReady, taint, lifecycle, true, false, condition},
		{corev1.TaintNodeUnreachable, taint, lifecycle, true, false, condition},
		{corev1.TaintNodeMemoryPressure, taint, lifecycle, true, false, condition},
		{corev1.TaintNodeDiskPressure, taint, lifecycle, true, false, condition},
		{corev1.TaintNodePIDPressure, taint, lifecycle, true, false, condition},
		{corev1.TaintNodeNetworkUnavailable, taint, lifecycle, true, false, condition},
		{corev1.TaintNodeUnschedulable, taint, lifecycle, true, false, "it follows spec.unschedulable"},
		// cloud-provider/api/well_known_taints.go; cloud-provider/controllers/node and nodelifecycle.
		{"node.cloudprovider.kubernetes.io/", taint, cloud, true, false, "it follows what the cloud says of the machine"},
		// cloud-provider/controllers/node/node_controller.go getNodeModifiersFromCloudProvider, labelReconcileInfo.
		{corev1.LabelInstanceType, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		{corev1.LabelInstanceTypeStable, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		{corev1.LabelTopologyZone, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		{corev1.LabelTopologyRegion, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		{corev1.LabelFailureDomainBetaZone, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		{corev1.LabelFailureDomainBetaRegion, label, cloud, false, true, "it is set from what the cloud says of the machine"},
		// Of the clouds' own node groups: their machines give it to the kubelet.
		{"cloud.google.com/", both, "GKE", false, true, "its node pool sets it"},
		{"eks.amazonaws.com/", label, "EKS", false, true, "its node group sets it"},
		{"kubernetes.azure.com/", label, "AKS", false, true, "its node pool sets it"},
		{"topology.k8s.aws/", label, cloud, false, true, "it is set from what the cloud says of the machine"},
		// The topology that CSI drivers report (pkg/volume/csi/nodeinfomanager updateTopologyLabels), of drivers whose keys are well known.
		{"topology.ebs.csi.aws.com/", label, kubelet, false, false, "its kubelet sets it when the CSI driver registers"},
		{"topology.disk.csi.azure.com/", label, kubelet, false, false, "its kubelet sets it when the CSI driver registers"},
		{"topology.gke.io/", label, kubelet, false, false, "its kubelet sets it when the CSI driver registers"},
		{"topology.cinder.csi.openstack.org/", label, kubelet, false, false, "its kubelet sets it when the CSI driver registers"},
		// kubernetes/autoscaler, cluster-autoscaler/utils/taints/taints.go.
		{"ToBeDeletedByClusterAutoscaler", taint, scaler, true, false, marks},
		{"DeletionCandidateOfClusterAutoscaler", taint, scaler, true, false, marks},
		{"startup-taint.cluster-autoscaler.kubernetes.io/", taint, scaler, true, false, marks},
		{"status-taint.cluster-autoscaler.kubernetes.io/", taint, scaler, true, false, marks},
		{"ignore-taint.cluster-autoscaler.kubernetes.io/", taint, scaler, true, false, marks},
		// kubernetes-sigs/karpenter, pkg/apis/v1/taints.go and labels.go.
		{"karpenter.sh/disrupted", taint, "karpenter", true, false, marks},
		{"karpenter.sh/disruption", taint, "karpenter", true, false, marks},
		{"karpenter.sh/unregistered", taint, "karpenter", true, false, marks},
		{"karpenter.sh/", label, "karpenter", false, false, "Karpenter sets it from its NodeClaim"},
		{"karpenter.k8s.aws/", both, "karpenter", false, false, "Karpenter sets it from its NodeClaim"},
		// cilium, pkg/option AgentNotReadyNodeTaintValue; kubernetes-sigs/aws-ebs-csi-driver, AgentNotReadyNodeTaintKey.
		{"node.cilium.io/agent-not-ready", taint, "cilium", true, false, marks},
		{"ebs.csi.aws.com/agent-not-ready", taint, "aws-ebs-csi-driver", true, false, marks},
		{"efs.csi.aws.com/agent-not-ready", taint, "aws-efs-csi-driver", true, false, marks},
		// Agents of networks: what they keep on a Node holds addresses and subnets, which another Node may have by now.
		{"flannel.alpha.coreos.com/", note, "flannel", true, false, "it holds the agent's addresses, which the agent sets anew"},
		{"projectcalico.org/", note, "calico", true, false, "it holds the agent's addresses, which the agent sets anew"},
		{"network.cilium.io/", note, "cilium", true, false, "it holds the agent's addresses, which the agent sets anew"},
		{"io.cilium.network.", note, "cilium", true, false, "it holds the agent's addresses, which the agent sets anew"},
		{"k8s.ovn.org/", note, "ovn-kubernetes", true, false, "it holds the agent's subnets, which the agent sets anew"},
		{"node.antrea.io/", note, "antrea", true, false, "it holds the agent's addresses, which the agent sets anew"},
		{"kube-router.io/", note, "kube-router", true, false, "it holds the agent's addresses, which the agent sets anew"},
		// kubernetes-sigs/node-feature-discovery, api/nfd/v1alpha1/annotations_labels.go.
		{"feature.node.kubernetes.io/", label, "node-feature-discovery", false, false, "it is set from what the machine has"},
		{"nfd.node.kubernetes.io/", both, "node-feature-discovery", true, false, "it is set from what the machine has"},
		// NVIDIA gpu-operator, controllers/state_manager.go; NVIDIA k8s-device-plugin, gpu-feature-discovery.
		{"nvidia.com/", both, "gpu-operator", false, false, "it is set from what the machine has"},
		{"amd.com/", label, "AMD GPU operator", false, false, "it is set from what the machine has"},
		// Distributions and machine controllers.
		{"k3s.io/", note, "k3s", true, false, "its agent sets it when it starts"},
		{"rke2.io/", note, "rke2", true, false, "its agent sets it when it starts"},
		{"cluster.x-k8s.io/", note, "cluster-api", true, false, "its Machine's controller sets it"},
		{"machine.openshift.io/", note, "machine-api-operator", true, false, "its Machine's controller sets it"},
		{"machineconfiguration.openshift.io/", note, "machine-config-operator", true, false, "its daemon sets it when it starts"},
	}
}

// lostKeys are the keys that are lost with a Node object although they look like a component's: nobody puts them back. They are as sources say.
func lostKeys() []ownedKey {
	label, note := []string{fieldLabel}, []string{fieldAnnotation}
	return []ownedKey{
		// plugin/pkg/admission/noderestriction getForbiddenLabels: a kubelet may not set labels of kubernetes.io but those of kubelet/pkg/apis KubeletLabels.
		{"node-role.kubernetes.io/", label, "", false, false, "a kubelet may not set it, and kubeadm sets it only when a node joins"},
		{corev1.LabelNamespaceNodeRestriction + "/", label, "", false, false, "a kubelet may not set it: admission (NodeRestriction) keeps it for administrators"},
		{corev1.LabelNodeExcludeBalancers, label, "", false, false, "kubeadm sets it only when a node joins, or somebody did by hand"},
		// kubeadm's phase kubelet-finalize or upload-config wrote it at join, in releases that do not keep it on the machine's disk.
		{"kubeadm.alpha.kubernetes.io/cri-socket", note, "", false, false, "kubeadm sets it only when a node joins, and some releases cannot upgrade without it"},
		// kubernetes/autoscaler, cluster-autoscaler FAQ; kubernetes-sigs/karpenter, pkg/apis/v1/labels.go: what people ask of autoscalers.
		{"cluster-autoscaler.kubernetes.io/scale-down-disabled", note, "", false, false, "people set it, to keep the autoscaler from the node"},
		{"karpenter.sh/do-not-disrupt", note, "", false, false, "people set it, to keep Karpenter from the node"},
	}
}

// in finds the entry for a key.
func in(table []ownedKey, field, key string) (ownedKey, bool) {
	for _, o := range table {
		family := strings.HasSuffix(o.key, "/") || strings.HasSuffix(o.key, ".")
		if slices.Contains(o.fields, field) && (key == o.key || family && strings.HasPrefix(key, o.key)) {
			return o, true
		}
	}
	return ownedKey{}, false
}

// agent tells whether a field manager is one that sets what it owns again by itself, and what it is. A manager is named after its program by default
// (client-go/rest DefaultKubernetesUserAgent, apiserver managerOrUserAgent), so these are names of programs.
func agent(manager string) bool {
	return slices.Contains([]string{
		"kubelet", "kube-controller-manager", "cloud-controller-manager", "aws-cloud-controller-manager", "azure-cloud-controller-manager", "azure-cloud-node-manager",
		"cloud-node-manager", "gcp-cloud-controller-manager", "openstack-cloud-controller-manager", "vsphere-cloud-controller-manager", "k3s", "rke2", "k0s",
		"nfd-master", "nfd-worker", "gpu-operator", "flanneld", "calico-node", "cilium", "cilium-agent", "cilium-operator", "cilium-operator-generic",
		"antrea-agent", "antrea-controller", "ovnkube", "ovnkube-node", "kube-router", "karpenter", "cluster-autoscaler", "machine-config-daemon",
		"machine-config-controller",
	}, manager)
}

// person tells whether a field manager is a program that does what somebody says, once.
func person(manager string) bool {
	return strings.HasPrefix(manager, "kubectl") || slices.Contains([]string{
		"kubeadm", "oc", "k9s", "helm", "Helm", "terraform", "Terraform", "HashiCorp", "eksctl", "ansible", "OpenAPI-Generator", "Mozilla", "node-fetch",
	}, manager)
}

// managersOf are the field managers of each label and annotation, by "label/" or "annotation/" and key. Taints are one field to them (listType=atomic): it
// is the last writer's, whoever set which taint, and tells nothing.
func managersOf(entries []metav1.ManagedFieldsEntry) map[string][]string {
	out := map[string][]string{}
	for _, e := range entries {
		if e.FieldsV1 == nil || e.Manager == "" {
			continue
		}
		var fields struct {
			Meta struct {
				Labels      map[string]json.RawMessage `json:"f:labels"`
				Annotations map[string]json.RawMessage `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for field, keys := range map[string]map[string]json.RawMessage{fieldLabel: fields.Meta.Labels, fieldAnnotation: fields.Meta.Annotations} {
			for k := range keys {
				key, ok := strings.CutPrefix(k, "f:")
				if at := field + "/" + key; ok && !slices.Contains(out[at], e.Manager) {
					out[at] = append(out[at], e.Manager)
				}
			}
		}
	}
	return out
}
