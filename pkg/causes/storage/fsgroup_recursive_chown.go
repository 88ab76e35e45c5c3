package storage

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func fsgroupRecursiveChown() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST316", Slug: "fsgroup-recursive-chown", Reach: scope.ReachPod,
		Needs:    []snapshot.Kind{snapshot.Event},
		Optional: []snapshot.Kind{snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The kubelet changes the owner of every file on the volume first",
			Symptom: "A pod with fsGroup and a volume of many files stays ContainerCreating for minutes to hours, without an error or with \"timed out waiting for the condition\".",
			Mechanism: "With securityContext.fsGroup the kubelet sets group and mode of each file before it starts the pod, every time, unless fsGroupChangePolicy is " +
				"OnRootMismatch. With millions of files that takes long. It is at work, and it ends.",
			Confirm: []string{
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod},reason=VolumePermissionChangeInProgress",
				"kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.securityContext}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait: it goes on by itself. Deleting the pod begins it anew."},
				{ID: "on-root-mismatch", Risk: diagnose.RiskLow, Text: "Set fsGroupChangePolicy: OnRootMismatch in the pod template, once the files have the right group."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods",
				"https://github.com/kubernetes/kubernetes/issues/69699",
				"kubernetes: pkg/volume/volume_linux.go",
			},
		},
		Pod: findChown,
		Log: []diagnose.LogMatch{{Text: settingOwnership}, {Text: diagnose.Text{All: []string{"applyFSGroup failed for vol"}}}},
	}
}

// settingOwnership is how the kubelet begins what it says of it: in its log since 1.10, in an event too in newer versions (pkg/volume/volume_linux.go).
var settingOwnership = diagnose.Text{All: []string{"Setting volume ownership for"}}

// mayChown tells whether the pod asks for a group on its volumes each time that they are mounted.
func mayChown(p stuck.Pod) bool {
	c := p.Object.Spec.SecurityContext
	return c != nil && c.FSGroup != nil && (c.FSGroupChangePolicy == nil || *c.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch)
}

func findChown(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{}
	if !mounting(p) {
		return f, false
	}
	if f.Evidence = diagnose.Said(s, p, settingOwnership); len(f.Evidence) > 0 {
		f.Confidence = diagnose.Fresh(s, diagnose.Certain, f.Evidence)
		f.Message = fmt.Sprintf("The kubelet on node %s is changing the owner of the files on a volume of pod %s/%s, %s after the pod was bound: it is at work, and slow.", p.Node, p.Ref.Namespace, p.Ref.Name, scope.Short(p.For))
		return f, true
	}
	c := p.Object.Spec.SecurityContext
	if !mayChown(p) {
		return f, false
	}
	var big volume.Chain
	for _, v := range volume.Of(s, p.Object) {
		// Volumes that many nodes may write, NFS above all, are mostly left alone by fsGroup.
		if v.PVC != nil && v.Exclusive() && v.NFS() == "" && v.VolumeName() != "" {
			big = v
			break
		}
	}
	if big.PVC == nil {
		return f, false
	}
	late := diagnose.Text{All: []string{"unmounted volumes"}, Any: []string{"timed out waiting for the condition", "context deadline exceeded"}}
	waits := diagnose.Said(s, p, late, "FailedMount")
	attachedNow := false
	for _, e := range diagnose.Events(s, p) {
		attachedNow = attachedNow || e.Reason == "SuccessfulAttachVolume"
		if e.Type == corev1.EventTypeWarning && e.Reason != "FailedScheduling" && !late.Match(e.Message) {
			return f, false // something else was said, which counts more than a guess
		}
	}
	if len(waits) == 0 && !attachedNow || p.For < silentMount {
		return f, false
	}
	f.Confidence = diagnose.Possible
	f.Evidence = slices.Concat(waits, []diagnose.Evidence{
		{Object: p.Ref.String(), Field: "spec.securityContext.fsGroup", Value: fmt.Sprint(*c.FSGroup)},
		{Object: p.Ref.String(), Field: "spec.securityContext.fsGroupChangePolicy", Value: "not OnRootMismatch"},
	})
	f.Message = fmt.Sprintf("Pod %s/%s asks for group %d on claim %s, so the kubelet walks over all its files before it starts the pod.", p.Ref.Namespace, p.Ref.Name, *c.FSGroup, big.Claim)
	f.Alternatives = []string{"hung-fs-mount", "volume-attach-limit", "selinux-recursive-relabel"}
	f.Decide = "Whether the kubelet's log on node {node} says \"Setting volume ownership for\" this pod."
	return f, true
}
