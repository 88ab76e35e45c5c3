package startup

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func draClaimPending() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST639", Slug: "dra-claim-pending",
		Doc: diagnose.Doc{
			Title:   "The devices that the pod claims are not there to be had",
			Symptom: `Pending with "cannot allocate all claims", "resourceclaim … not found", "resourceclaim in use" or "device class … does not exist"; or, where the claim does not exist, without any condition or event at all.`,
			Mechanism: "A pod with resource claims is placed where the claims can be met. The claim object must exist (from a template, the resource claim controller makes it), no other pod may hold it unless it can be shared, its DeviceClass must exist, " +
				"and some driver must offer a free device that fits, in ResourceSlices. A pod whose claim does not exist, or is being deleted, is not even queued: the scheduler says nothing of it.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.spec.resourceClaims} {.status.resourceClaimStatuses}' -n {namespace}",
				"kubectl get resourceclaims -n {namespace}",
				"kubectl get resourceslices,deviceclasses",
			},
			Remedies: []diagnose.Remedy{
				{ID: "look-at-claim", Risk: diagnose.RiskNone, Command: "kubectl describe resourceclaims -n {namespace}", Text: "See what the claim asks for, who has it reserved, and whether a ResourceSlice offers such a device. A driver whose pod does not run on a node offers nothing there."},
				{ID: "create-claim", Risk: diagnose.RiskLow, Text: "Create the claim, the template or the DeviceClass that is missing. The pod is queued again by itself."},
				{ID: "free-device", Risk: diagnose.RiskMedium, Text: "End a pod that holds a device, or add a node that has one."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go",
			},
			Since: "Kubernetes 1.26",
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.ResourceClaim, snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node != "" || p.State != stuck.Unschedulable && p.State != stuck.Pending {
				return diagnose.Finding{}, false
			}
			r, said := rejectionOf(s, p)
			if said {
				if furthest, most, _ := r.decides(obstacleClaims); !furthest && !most {
					return diagnose.Finding{}, false
				}
			}
			if f, ok := claimTrouble(s, p); ok {
				if said {
					f.Evidence = append(r.ev, f.Evidence...)
				}
				return f, true
			}
			if ev := diagnose.Said(s, p, diagnose.Text{}, "FailedResourceClaimCreation"); len(ev) > 0 {
				return diagnose.Finding{
					Subject: p.OwnerOrSelf(), Confidence: diagnose.Fresh(s, diagnose.Certain, ev), Evidence: ev,
					Message: fmt.Sprintf("A resource claim of the pod could not be made from its template: %s.", quote(ev[len(ev)-1].Value)),
				}, true
			}
			if !said {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: p.OwnerOrSelf(), Confidence: diagnose.Likely, Evidence: r.ev,
				Message:      fmt.Sprintf("The scheduler cannot meet the pod's resource claims. Of %d nodes: %s.", r.total, r.words()),
				Alternatives: []string{"unschedulable-insufficient"},
				Decide:       "Whether a ResourceSlice of the driver offers a free device that fits the claim; if there are slices for no node, the driver does not run.",
			}, true
		},
	}
}

// claimTrouble looks at the pod's claims themselves, the first that is in its way.
func claimTrouble(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Certain}
	for _, c := range p.Object.Spec.ResourceClaims {
		name, generated := claimName(p.Object, c)
		f.Subject = snapshot.Ref{Kind: snapshot.ResourceClaim, Namespace: p.Ref.Namespace, Name: name}
		if name == "" {
			if !generated {
				continue // none is needed
			}
			f.Subject = p.OwnerOrSelf()
			f.Confidence = diagnose.Likely
			f.Message = fmt.Sprintf("The resource claim %q of the pod was not made from the template %s yet.", c.Name, deref(c.ResourceClaimTemplateName))
			f.Evidence = []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.resourceClaimStatuses[" + c.Name + "]", Value: "missing"}}
			f.Alternatives = []string{"control-plane-down"}
			f.Decide = "Whether the template exists, and whether kube-controller-manager, whose resource claim controller makes the claim, renews its lease."
			return f, true
		}
		claim := s.ResourceClaim(p.Ref.Namespace, name)
		switch {
		case claim == nil && s.Has(snapshot.ResourceClaim, p.Ref.Namespace, name) == snapshot.Absent:
			f.Message = fmt.Sprintf("ResourceClaim %s/%s, which the pod names, does not exist.", p.Ref.Namespace, name)
			f.Evidence = []diagnose.Evidence{{Object: p.Ref.String(), Field: "spec.resourceClaims[" + c.Name + "]", Value: name}}
			return f, true
		case claim == nil:
			continue
		case claim.DeletionTimestamp != nil:
			f.Message = fmt.Sprintf("ResourceClaim %s/%s, which the pod names, is being deleted.", p.Ref.Namespace, name)
			f.Evidence = []diagnose.Evidence{{Object: f.Subject.String(), Field: "metadata.deletionTimestamp", Value: claim.DeletionTimestamp.UTC().Format(time.RFC3339)}}
			if len(claim.Finalizers) > 0 {
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: f.Subject.String(), Field: "metadata.finalizers", Value: strings.Join(claim.Finalizers, ", ")})
			}
			return f, true
		}
		if holder, full := heldBy(claim, p.Object); full {
			f.Message = fmt.Sprintf("ResourceClaim %s/%s is in use by %s, and no more may share it.", p.Ref.Namespace, name, holder)
			f.Evidence = []diagnose.Evidence{{Object: f.Subject.String(), Field: "status.reservedFor", Value: holder}}
			return f, true
		}
	}
	return diagnose.Finding{}, false
}

// maxConsumers is how many pods may share a claim (k8s.io/api/resource/v1 ResourceClaimReservedForMaxSize).
const maxConsumers = resourcev1.ResourceClaimReservedForMaxSize

// heldBy tells whether the claim is allocated and as many as may share it have it reserved, and who the first of them is.
func heldBy(claim *resourcev1.ResourceClaim, p *corev1.Pod) (string, bool) {
	if claim.Status.Allocation == nil || len(claim.Status.ReservedFor) < maxConsumers {
		return "", false
	}
	for _, r := range claim.Status.ReservedFor {
		if r.UID == p.UID {
			return "", false
		}
	}
	first := claim.Status.ReservedFor[0]
	return fmt.Sprintf("%s %s and %d others", strings.TrimSuffix(first.Resource, "s"), first.Name, len(claim.Status.ReservedFor)-1), true
}

// claimName is the name of the ResourceClaim that stands for an entry of the pod; generated tells that it comes from a template. It is empty where it was
// not made yet, or where none is needed (k8s.io/dynamic-resource-allocation/resourceclaim Name).
func claimName(p *corev1.Pod, c corev1.PodResourceClaim) (name string, generated bool) {
	if c.ResourceClaimName != nil {
		return *c.ResourceClaimName, false
	}
	if c.ResourceClaimTemplateName == nil {
		return "", false
	}
	for _, st := range p.Status.ResourceClaimStatuses {
		if st.Name == c.Name {
			return deref(st.ResourceClaimName), st.ResourceClaimName != nil
		}
	}
	return "", true
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
