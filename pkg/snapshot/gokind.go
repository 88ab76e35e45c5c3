package snapshot

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// New returns an empty typed object of the kind, to decode into; nil for a kind that a snapshot cannot hold.
// Metadata-only kinds give a PartialObjectMetadata with its kind set.
func New(k Kind) runtime.Object {
	switch k {
	case Pod:
		return &corev1.Pod{}
	case Node:
		return &corev1.Node{}
	case Namespace:
		return &corev1.Namespace{}
	case Event:
		return &corev1.Event{}
	case Lease:
		return &coordinationv1.Lease{}
	case ReplicaSet:
		return &appsv1.ReplicaSet{}
	case Deployment:
		return &appsv1.Deployment{}
	case StatefulSet:
		return &appsv1.StatefulSet{}
	case DaemonSet:
		return &appsv1.DaemonSet{}
	case Job:
		return &batchv1.Job{}
	case PersistentVolumeClaim:
		return &corev1.PersistentVolumeClaim{}
	case PersistentVolume:
		return &corev1.PersistentVolume{}
	case StorageClass:
		return &storagev1.StorageClass{}
	case VolumeAttachment:
		return &storagev1.VolumeAttachment{}
	case CSINode:
		return &storagev1.CSINode{}
	case CSIDriver:
		return &storagev1.CSIDriver{}
	case ConfigMap, Secret:
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: string(k)}}
	case Service:
		return &corev1.Service{}
	case EndpointSlice:
		return &discoveryv1.EndpointSlice{}
	case PodDisruptionBudget:
		return &policyv1.PodDisruptionBudget{}
	case RuntimeClass:
		return &nodev1.RuntimeClass{}
	case MutatingWebhookConfiguration:
		return &admissionv1.MutatingWebhookConfiguration{}
	case ValidatingWebhookConfiguration:
		return &admissionv1.ValidatingWebhookConfiguration{}
	case MutatingAdmissionPolicy:
		return &admissionv1.MutatingAdmissionPolicy{}
	case MutatingAdmissionPolicyBinding:
		return &admissionv1.MutatingAdmissionPolicyBinding{}
	case ValidatingAdmissionPolicy:
		return &admissionv1.ValidatingAdmissionPolicy{}
	case ValidatingAdmissionPolicyBinding:
		return &admissionv1.ValidatingAdmissionPolicyBinding{}
	case ResourceQuota:
		return &corev1.ResourceQuota{}
	case ResourceClaim:
		return &resourcev1.ResourceClaim{}
	case CustomResourceDefinition:
		return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: string(k)}}
	default:
		return nil
	}
}

func goKind(obj runtime.Object) Kind {
	switch obj.(type) {
	case *corev1.Pod:
		return Pod
	case *corev1.Node:
		return Node
	case *corev1.Namespace:
		return Namespace
	case *coordinationv1.Lease:
		return Lease
	case *appsv1.ReplicaSet:
		return ReplicaSet
	case *appsv1.Deployment:
		return Deployment
	case *appsv1.StatefulSet:
		return StatefulSet
	case *appsv1.DaemonSet:
		return DaemonSet
	case *batchv1.Job:
		return Job
	case *corev1.PersistentVolumeClaim:
		return PersistentVolumeClaim
	case *corev1.PersistentVolume:
		return PersistentVolume
	case *storagev1.StorageClass:
		return StorageClass
	case *storagev1.VolumeAttachment:
		return VolumeAttachment
	case *storagev1.CSINode:
		return CSINode
	case *storagev1.CSIDriver:
		return CSIDriver
	case *corev1.Service:
		return Service
	case *discoveryv1.EndpointSlice:
		return EndpointSlice
	case *policyv1.PodDisruptionBudget:
		return PodDisruptionBudget
	case *nodev1.RuntimeClass:
		return RuntimeClass
	case *admissionv1.MutatingWebhookConfiguration:
		return MutatingWebhookConfiguration
	case *admissionv1.ValidatingWebhookConfiguration:
		return ValidatingWebhookConfiguration
	case *admissionv1.MutatingAdmissionPolicy:
		return MutatingAdmissionPolicy
	case *admissionv1.MutatingAdmissionPolicyBinding:
		return MutatingAdmissionPolicyBinding
	case *admissionv1.ValidatingAdmissionPolicy:
		return ValidatingAdmissionPolicy
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		return ValidatingAdmissionPolicyBinding
	case *corev1.ResourceQuota:
		return ResourceQuota
	case *resourcev1.ResourceClaim:
		return ResourceClaim
	default:
		return ""
	}
}
