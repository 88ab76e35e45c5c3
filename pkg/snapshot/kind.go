package snapshot

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind names a kind of object that a snapshot can hold. The value is the Kubernetes kind.
type Kind string

// The kinds a snapshot can hold.
const (
	Pod                              Kind = "Pod"
	Node                             Kind = "Node"
	Namespace                        Kind = "Namespace"
	Event                            Kind = "Event"
	Lease                            Kind = "Lease"
	ReplicaSet                       Kind = "ReplicaSet"
	Deployment                       Kind = "Deployment"
	StatefulSet                      Kind = "StatefulSet"
	DaemonSet                        Kind = "DaemonSet"
	Job                              Kind = "Job"
	PersistentVolumeClaim            Kind = "PersistentVolumeClaim"
	PersistentVolume                 Kind = "PersistentVolume"
	StorageClass                     Kind = "StorageClass"
	VolumeAttachment                 Kind = "VolumeAttachment"
	CSINode                          Kind = "CSINode"
	CSIDriver                        Kind = "CSIDriver"
	ConfigMap                        Kind = "ConfigMap" // metadata only, never data
	Secret                           Kind = "Secret"    // metadata only, never data
	Service                          Kind = "Service"
	EndpointSlice                    Kind = "EndpointSlice"
	PodDisruptionBudget              Kind = "PodDisruptionBudget"
	RuntimeClass                     Kind = "RuntimeClass"
	MutatingWebhookConfiguration     Kind = "MutatingWebhookConfiguration"
	ValidatingWebhookConfiguration   Kind = "ValidatingWebhookConfiguration"
	MutatingAdmissionPolicy          Kind = "MutatingAdmissionPolicy"
	MutatingAdmissionPolicyBinding   Kind = "MutatingAdmissionPolicyBinding"
	ValidatingAdmissionPolicy        Kind = "ValidatingAdmissionPolicy"
	ValidatingAdmissionPolicyBinding Kind = "ValidatingAdmissionPolicyBinding"
	ResourceQuota                    Kind = "ResourceQuota"
	ResourceClaim                    Kind = "ResourceClaim"
	CustomResourceDefinition         Kind = "CustomResourceDefinition" // metadata only
)

// Info says how the API serves a kind.
type Info struct {
	Kind       Kind
	GVR        schema.GroupVersionResource
	Namespaced bool
	// MetadataOnly kinds are read as metadata, because their content is nobody's business here.
	MetadataOnly bool
}

// GVK is the group, version and kind.
func (i Info) GVK() schema.GroupVersionKind { return i.GVR.GroupVersion().WithKind(string(i.Kind)) }

// Kinds lists every kind a snapshot can hold, in the order in which dumps write them.
func Kinds() []Info {
	core := func(k Kind, resource string, namespaced bool) Info {
		return Info{Kind: k, GVR: schema.GroupVersionResource{Version: "v1", Resource: resource}, Namespaced: namespaced}
	}
	group := func(k Kind, g, resource string, namespaced bool) Info {
		return Info{Kind: k, GVR: schema.GroupVersionResource{Group: g, Version: "v1", Resource: resource}, Namespaced: namespaced}
	}
	metadata := func(i Info) Info { i.MetadataOnly = true; return i }
	return []Info{
		core(Pod, "pods", true),
		core(Node, "nodes", false),
		core(Namespace, "namespaces", false),
		core(Event, "events", true),
		group(Lease, "coordination.k8s.io", "leases", true),
		group(ReplicaSet, "apps", "replicasets", true),
		group(Deployment, "apps", "deployments", true),
		group(StatefulSet, "apps", "statefulsets", true),
		group(DaemonSet, "apps", "daemonsets", true),
		group(Job, "batch", "jobs", true),
		core(PersistentVolumeClaim, "persistentvolumeclaims", true),
		core(PersistentVolume, "persistentvolumes", false),
		group(StorageClass, "storage.k8s.io", "storageclasses", false),
		group(VolumeAttachment, "storage.k8s.io", "volumeattachments", false),
		group(CSINode, "storage.k8s.io", "csinodes", false),
		group(CSIDriver, "storage.k8s.io", "csidrivers", false),
		metadata(core(ConfigMap, "configmaps", true)),
		metadata(core(Secret, "secrets", true)),
		core(Service, "services", true),
		group(EndpointSlice, "discovery.k8s.io", "endpointslices", true),
		group(PodDisruptionBudget, "policy", "poddisruptionbudgets", true),
		group(RuntimeClass, "node.k8s.io", "runtimeclasses", false),
		group(MutatingWebhookConfiguration, "admissionregistration.k8s.io", "mutatingwebhookconfigurations", false),
		group(ValidatingWebhookConfiguration, "admissionregistration.k8s.io", "validatingwebhookconfigurations", false),
		group(MutatingAdmissionPolicy, "admissionregistration.k8s.io", "mutatingadmissionpolicies", false),
		group(MutatingAdmissionPolicyBinding, "admissionregistration.k8s.io", "mutatingadmissionpolicybindings", false),
		group(ValidatingAdmissionPolicy, "admissionregistration.k8s.io", "validatingadmissionpolicies", false),
		group(ValidatingAdmissionPolicyBinding, "admissionregistration.k8s.io", "validatingadmissionpolicybindings", false),
		core(ResourceQuota, "resourcequotas", true),
		group(ResourceClaim, "resource.k8s.io", "resourceclaims", true),
		metadata(group(CustomResourceDefinition, "apiextensions.k8s.io", "customresourcedefinitions", false)),
	}
}

// InfoOf returns how the API serves kind k, and whether a snapshot can hold it.
func InfoOf(k Kind) (Info, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(i Info) bool { return i.Kind == k })
	if i < 0 {
		return Info{}, false
	}
	return kinds[i], true
}
