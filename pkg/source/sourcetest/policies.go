package sourcetest

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// policies are what is asked before pods may change or be made: admission policies with their bindings, and a quota. They are bound so
// that they act on nothing here.
func policies() []runtime.Object {
	only := &metav1.LabelSelector{MatchLabels: map[string]string{"example.com/guarded": "yes"}}
	pods := &admissionv1.MatchResources{
		NamespaceSelector: only, ObjectSelector: &metav1.LabelSelector{}, MatchPolicy: ptr(admissionv1.Equivalent),
		ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: ptr(admissionv1.NamespacedScope)},
		}}},
	}
	mutating := named("", "set-priority")
	mutating.Generation = 1
	validating := named("", "need-owner")
	validating.Generation = 1
	params := &admissionv1.ParamRef{Name: "settings", Namespace: "shop", ParameterNotFoundAction: ptr(admissionv1.AllowAction)}
	return []runtime.Object{
		&admissionv1.MutatingAdmissionPolicy{ObjectMeta: mutating, Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: pods, FailurePolicy: ptr(admissionv1.Ignore), ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{
				PatchType:          admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"example.com/seen": "yes"}}}`},
			}},
		}},
		&admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: named("", "set-priority-everywhere"), Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "set-priority"}},
		&admissionv1.ValidatingAdmissionPolicy{
			ObjectMeta: validating,
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				ParamKind: &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}, MatchConstraints: pods, FailurePolicy: ptr(admissionv1.Fail),
				Validations: []admissionv1.Validation{{Expression: `"owner" in object.metadata.labels`, Message: "every pod needs an owner"}},
			},
		},
		&admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: named("", "need-owner-shop"), Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "need-owner", ParamRef: params, ValidationActions: []admissionv1.ValidationAction{admissionv1.Audit},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{}, MatchPolicy: ptr(admissionv1.Equivalent)},
		}},
		&corev1.ResourceQuota{
			ObjectMeta: named("shop", "compute"),
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("40"), corev1.ResourceRequestsCPU: resource.MustParse("16")}},
			Status: corev1.ResourceQuotaStatus{
				Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("40"), corev1.ResourceRequestsCPU: resource.MustParse("16")},
				Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("6"), corev1.ResourceRequestsCPU: resource.MustParse("1500m")},
			},
		},
	}
}

// extensions are a claim for a device, and a CustomResourceDefinition, which is given in full here, as users save it.
func extensions() []runtime.Object {
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "conversion": map[string]any{"strategy": "None"},
			"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		},
		"status": map[string]any{
			"acceptedNames":  map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
			"storedVersions": []any{"v1"},
			"conditions": []any{
				map[string]any{"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"},
				map[string]any{"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted"},
			},
		},
	}}
	crd.SetName("widgets.example.com")
	crd.SetCreationTimestamp(ago(0))
	crd.SetUID(types.UID("uid-of-widgets"))
	return []runtime.Object{
		&resourcev1.ResourceClaim{
			ObjectMeta: named("shop", "gpu"),
			Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
				Name: "one", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu.example.com", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1},
			}}}},
		},
		crd,
	}
}
