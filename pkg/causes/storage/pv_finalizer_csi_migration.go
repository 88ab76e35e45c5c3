package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// migratedTo is on volumes of an in-tree plugin that a CSI driver serves (k8s.io/csi-translation-lib, component-helpers AnnMigratedTo).
const migratedTo = "pv.kubernetes.io/migrated-to"

func pvFinalizerCSIMigration() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST340", Slug: "pv-finalizer-csi-migration", Reach: scope.ReachShared,
		Needs: []snapshot.Kind{snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Optional: []snapshot.Kind{
			snapshot.CustomResourceDefinition, snapshot.DaemonSet, snapshot.Deployment, snapshot.Event, snapshot.Lease, snapshot.StatefulSet,
		},
		Doc: diagnose.Doc{
			Title:   "A migrated volume is being deleted and kept by the finalizer of its CSI driver",
			Symptom: "The pod stays in ContainerCreating; its attachment fails with \"PersistentVolume … is marked for deletion\". The volume is of an in-tree plugin, has the annotation pv.kubernetes.io/migrated-to, and is Terminating with a finalizer external-attacher/<driver>.",
			Mechanism: "The external-attacher of the CSI driver puts its finalizer on every volume that it attaches, also on volumes of in-tree plugins that were migrated to it, and attaches no volume that is being deleted. " +
				"It takes the finalizer off when the volume is detached. Where its version does not do that for volumes without spec.csi, or where the driver was uninstalled after the migration, the volume stays: neither usable nor gone.",
			Confirm: []string{
				"kubectl get persistentvolume {subject} -o jsonpath='{.metadata.deletionTimestamp} {.metadata.finalizers} {.metadata.annotations}'",
				"kubectl get volumeattachments",
			},
			Remedies: []diagnose.Remedy{
				{ID: "save-the-data", Risk: diagnose.RiskNone, Text: "See in the storage system that the disk exists, and take a snapshot of it. If the volume's reclaim policy is Delete, it goes with the object.", Command: "kubectl get persistentvolume {subject} -o yaml"},
				{ID: "retain", Risk: diagnose.RiskLow, Text: "Set the reclaim policy to Retain before anything else, if the data is to stay. A deletion cannot be taken back.", Command: `kubectl patch persistentvolume {subject} -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`},
				{ID: "revive-attacher", Risk: diagnose.RiskLow, Text: "Bring the driver's controller back, or update it: its external-attacher takes the finalizer off when no VolumeAttachment names the volume.", Command: "kubectl get deployments,statefulsets -A"},
				{ID: "make-volume-anew", Risk: diagnose.RiskMedium, Text: "When the object is gone, make a volume with a CSI source for the same disk, and a claim that names it."},
				{
					ID: "remove-finalizer", Risk: diagnose.RiskHigh, Command: "kubectl get persistentvolume {subject} -o jsonpath='{.metadata.finalizers}'",
					Text: "Only when no VolumeAttachment names the volume and the storage system shows it detached: remove that one finalizer, with a JSON patch that tests its place in the list before it removes it.",
				},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/storage/volumes/#csi-migration",
				"https://github.com/kubernetes-csi/external-attacher/issues/217",
				"https://github.com/kubernetes-csi/external-attacher/pull/294",
				"external-attacher: pkg/controller/csi_handler.go",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || !mounting(p) {
				return diagnose.Finding{}, false
			}
			for _, v := range volume.Of(s, p.Object) {
				if v.PV == nil || v.PV.DeletionTimestamp == nil || v.PV.Spec.CSI != nil || v.PV.Annotations[migratedTo] == "" {
					continue
				}
				i := slices.IndexFunc(v.PV.Finalizers, func(f string) bool { return strings.HasPrefix(f, "external-attacher/") })
				if i < 0 {
					continue
				}
				f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.PersistentVolume, Name: v.PV.Name}, Confidence: diagnose.Likely}
				f.Evidence = diagnose.Said(s, p, diagnose.Text{All: []string{v.PV.Name, "is marked for deletion"}}, "FailedAttachVolume")
				if len(f.Evidence) > 0 {
					f.Confidence = diagnose.Certain
				}
				o := finalizer.Of(s, f.Subject, v.PV, v.PV.Finalizers[i])
				f.Message = fmt.Sprintf("Volume %s of claim %s/%s was deleted %s, and a volume that is being deleted is not attached any more; it was migrated to %s, and its finalizer %s keeps it.",
					v.PV.Name, p.Ref.Namespace, v.Claim, scope.Ago(s.Now().Sub(v.PV.DeletionTimestamp.Time)), v.PV.Annotations[migratedTo], o.Finalizer)
				f.Message += fmt.Sprintf(" The finalizer belongs to the %s.", o)
				f.Evidence = append(f.Evidence,
					diagnose.Evidence{Object: f.Subject.String(), Field: "metadata.deletionTimestamp", Value: v.PV.DeletionTimestamp.UTC().String()},
					diagnose.Evidence{Object: f.Subject.String(), Field: "metadata.annotations[" + migratedTo + "]", Value: v.PV.Annotations[migratedTo]})
				f.Evidence = append(f.Evidence, o.Evidence...)
				return f, true
			}
			return diagnose.Finding{}, false
		},
	}
}
