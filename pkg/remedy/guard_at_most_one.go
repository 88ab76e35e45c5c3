package remedy

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func atMostOne() Guard {
	return Guard{
		Name:     "at-most-one",
		Prevents: "A second pod starts while the first still runs on a node that nobody can see: two writers on one volume, two members with one identity.",
		Flag:     flagAttest,
		Lifts:    liftsAttest,
		For:      changes(),
		Needs:    []snapshot.Kind{snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume},
		Check: func(c *Case, r Remedy) []Verdict {
			past, how := c.past(r.ID)
			if !past {
				return nil
			}
			why, ev := c.single()
			if len(why) == 0 {
				return nil
			}
			at := c.atRest()
			if at.known {
				return nil
			}
			reason := fmt.Sprintf("%s must not run twice: %s. Nothing shows that its containers on node %s stopped: %s.", c.Pod.Ref, listed(why), c.Pod.Node, at.doubt)
			if how != "" {
				reason += " " + how
			}
			return []Verdict{c.vouched(Verdict{Level: Block, Reason: reason, Evidence: slices.Concat(ev, c.nodeEvidence())})}
		},
	}
}

// single says why the pod must not run twice at a time, with the objects that say so; nothing where that does no harm that is known.
func (c *Case) single() (why []string, ev []diagnose.Evidence) {
	p := c.Pod.Object
	if p == nil {
		return []string{"the pod itself could not be read"}, nil
	}
	owner := metav1.GetControllerOf(p)
	switch name := p.Labels[appsv1.StatefulSetPodNameLabel]; {
	case owner != nil && isGroup(owner, "StatefulSet", "apps"):
		why = append(why, "it is one of StatefulSet "+owner.Name)
	case owner != nil && !replaceable(owner):
		why = append(why, fmt.Sprintf("%s %s (%s), which controls it, is none of Kubernetes' own and may promise that there is one of it", owner.Kind, owner.Name, owner.APIVersion))
	case owner == nil && name != "" && name == p.Name:
		why = append(why, fmt.Sprintf("it was made by a StatefulSet, which takes it back when it is made again (label %s)", appsv1.StatefulSetPodNameLabel))
	case owner == nil:
		// An operator that tracks a pod without being its controller shows as another owner.
		if i := slices.IndexFunc(p.OwnerReferences, func(o metav1.OwnerReference) bool { return !replaceable(&o) }); i >= 0 {
			owner = &p.OwnerReferences[i]
			why = append(why, fmt.Sprintf("%s %s (%s), which owns it, is none of Kubernetes' own and may promise that there is one of it", owner.Kind, owner.Name, owner.APIVersion))
		}
	}
	if len(why) > 0 {
		ev = append(ev, podEvidence(c, "metadata.ownerReferences", ownersOf(p.OwnerReferences)))
	}
	for _, v := range volume.Of(c.S, p) {
		says, cites := exclusive(c, v)
		if says != "" {
			why, ev = append(why, says), append(ev, cites...)
		}
	}
	return why, ev
}

func ownersOf(refs []metav1.OwnerReference) string {
	names := make([]string, 0, len(refs))
	for _, r := range refs {
		names = append(names, r.Kind+"/"+r.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func isGroup(o *metav1.OwnerReference, kind, group string) bool {
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	return err == nil && o.Kind == kind && gv.Group == group
}

// replaceable tells whether the owner is of a kind of Kubernetes whose pods stand in for each other, or which starts another only beside the first by design.
// The group counts: projects have a Job, a StatefulSet and a DaemonSet of their own.
func replaceable(o *metav1.OwnerReference) bool {
	return isGroup(o, "ReplicaSet", "apps") || isGroup(o, "Deployment", "apps") || isGroup(o, "DaemonSet", "apps") || isGroup(o, "Job", "batch") ||
		isGroup(o, "CronJob", "batch") || isGroup(o, "ReplicationController", "") || isGroup(o, "Node", "")
}

// exclusive says why the volume may have one user at a time; empty where it may have several. A claim that was not read, or is gone under a pod that was bound
// with it, may be one. A claim that was made for this pod alone (an ephemeral volume) goes with it, and no other pod is given it.
func exclusive(c *Case, v volume.Chain) (string, []diagnose.Evidence) {
	if v.Source == nil || v.Source.Ephemeral != nil {
		return "", nil
	}
	claim := snapshot.Ref{Kind: snapshot.PersistentVolumeClaim, Namespace: c.Pod.Ref.Namespace, Name: v.Claim}
	switch {
	case v.Claim == "":
		if kind := inlineDisk(v); kind != "" {
			return fmt.Sprintf("its volume %s is one %s disk", v.Name, kind), []diagnose.Evidence{podEvidence(c, "spec.volumes", v.Name)}
		}
		return "", nil
	case v.PVC == nil && c.S.Has(claim.Kind, claim.Namespace, claim.Name) == snapshot.Absent:
		return fmt.Sprintf("claim %s of its volume %s does not exist any more, so that whose volume it is is not known", v.Claim, v.Name),
			[]diagnose.Evidence{{Object: claim.String(), Field: "existence", Value: "absent"}}
	case v.PVC == nil:
		return fmt.Sprintf("claim %s of its volume %s could not be read, and may be for one node at a time", v.Claim, v.Name),
			[]diagnose.Evidence{{Object: claim.String(), Field: "existence", Value: "could not be read"}}
	case v.Exclusive():
		return fmt.Sprintf("its volume %s (claim %s) is %s", v.Name, v.Claim, modes(v)), []diagnose.Evidence{{Object: claim.String(), Field: "spec.accessModes", Value: modes(v)}}
	default:
		return "", nil
	}
}

func modes(v volume.Chain) string {
	var out []string
	for _, m := range v.AccessModes() {
		out = append(out, string(m))
	}
	if len(out) == 0 {
		return "of no access mode that is known"
	}
	return strings.Join(out, ", ")
}

// inlineDisk names the kind of a block device that the pod names itself and may write to; empty for other volumes.
func inlineDisk(v volume.Chain) string {
	s := v.Source
	switch {
	case s.AWSElasticBlockStore != nil && !s.AWSElasticBlockStore.ReadOnly, s.GCEPersistentDisk != nil && !s.GCEPersistentDisk.ReadOnly,
		s.AzureDisk != nil && (s.AzureDisk.ReadOnly == nil || !*s.AzureDisk.ReadOnly), s.Cinder != nil && !s.Cinder.ReadOnly, s.RBD != nil && !s.RBD.ReadOnly,
		s.ISCSI != nil && !s.ISCSI.ReadOnly, s.FC != nil && !s.FC.ReadOnly, s.PortworxVolume != nil && !s.PortworxVolume.ReadOnly, s.VsphereVolume != nil,
		s.FlexVolume != nil && !s.FlexVolume.ReadOnly:
		return v.Kind()
	}
	return ""
}
