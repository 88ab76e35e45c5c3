package remedy

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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
		Needs: []snapshot.Kind{
			snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.ReplicaSet, snapshot.Deployment, snapshot.Job,
		},
		Check: func(c *Case, r Remedy) []Verdict {
			past, how := c.past(r.ID)
			if !past {
				return nil
			}
			at := c.atRest()
			if at.known {
				return nil
			}
			why, ev := c.single()
			if len(why) == 0 {
				return c.warnsOfNext()
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
	if c.Pod.Object == nil {
		return []string{"the pod itself could not be read"}, nil
	}
	why, ev = c.identity()
	next, cites := c.waitsToBeGone()
	for _, v := range volume.Of(c.S, c.Pod.Object) {
		if next != "" && writable(v) {
			why, ev = append(why, fmt.Sprintf("%s, and both would write to its volume %s", next, v.Name)), append(ev, cites...)
			next = ""
		}
		if says, cites := exclusive(c, v); says != "" {
			why, ev = append(why, says), append(ev, cites...)
		}
	}
	return why, ev
}

// identity says whose promise it is that there is one of the pod; nothing where its controller makes no such promise.
func (c *Case) identity() (why []string, ev []diagnose.Evidence) {
	p := c.Pod.Object
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
	return why, ev
}

// waitsToBeGone says whose next pod waits until this one is gone, or that this could not be read; empty where none does. A Deployment with the strategy Recreate
// starts no pod of a new version while one of the old is there (pkg/controller/deployment rolloutRecreate), and a Job with the podReplacementPolicy Failed no
// other pod while one is being deleted (pkg/controller/job manageJob). Both take a pod whose object is gone for one that has ended.
func (c *Case) waitsToBeGone() (string, []diagnose.Evidence) {
	owner := metav1.GetControllerOf(c.Pod.Object)
	if owner == nil {
		return "", nil
	}
	ns := c.Pod.Ref.Namespace
	unread := func(k snapshot.Kind, name, what string) (string, []diagnose.Evidence) {
		if c.S.Has(k, ns, name) != snapshot.Unknown {
			return "", nil
		}
		ref := snapshot.Ref{Kind: k, Namespace: ns, Name: name}
		return fmt.Sprintf("%s %s could not be read, so that %s is not known", k, name, what), []diagnose.Evidence{{Object: ref.String(), Field: "existence", Value: "could not be read"}}
	}
	switch {
	case isGroup(owner, "ReplicaSet", "apps"):
		const what = "whether a Deployment waits for this pod to be gone before it starts another"
		rs := c.S.ReplicaSet(ns, owner.Name)
		if rs == nil {
			return unread(snapshot.ReplicaSet, owner.Name, what)
		}
		above := metav1.GetControllerOf(rs)
		if above == nil || !isGroup(above, "Deployment", "apps") {
			return "", nil
		}
		d := c.S.Deployment(ns, above.Name)
		if d == nil {
			return unread(snapshot.Deployment, above.Name, what)
		}
		if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
			return fmt.Sprintf("Deployment %s has the strategy %s: it starts a pod of a new version when this one is gone", d.Name, d.Spec.Strategy.Type),
				[]diagnose.Evidence{{Object: refOf(snapshot.Deployment, d).String(), Field: "spec.strategy.type", Value: string(d.Spec.Strategy.Type)}}
		}
	case isGroup(owner, "Job", "batch"):
		j := c.S.Job(ns, owner.Name)
		if j == nil {
			return unread(snapshot.Job, owner.Name, "whether it waits for this pod to be gone before it starts another")
		}
		if r := j.Spec.PodReplacementPolicy; r != nil && *r == batchv1.Failed {
			return fmt.Sprintf("Job %s has the podReplacementPolicy %s: it starts another pod when this one is gone", j.Name, *r),
				[]diagnose.Evidence{{Object: refOf(snapshot.Job, j).String(), Field: "spec.podReplacementPolicy", Value: string(*r)}}
		}
	}
	return "", nil
}

// warnsOfNext warns of a pod that has no volume to spoil, and whose successor waits until it is gone.
func (c *Case) warnsOfNext() []Verdict {
	next, ev := c.waitsToBeGone()
	if next == "" {
		return nil
	}
	return []Verdict{{
		Level: Warn, Evidence: slices.Concat(ev, c.nodeEvidence()),
		Reason: fmt.Sprintf("%s. Nothing shows that the containers of %s on node %s stopped, so two may run at once.", next, c.Pod.Ref, c.Pod.Node),
	}}
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
	case oneWriter(v):
		return fmt.Sprintf("its volume %s (claim %s) is %s", v.Name, v.Claim, modes(v)), []diagnose.Evidence{{Object: claim.String(), Field: "spec.accessModes", Value: modes(v)}}
	default:
		return "", nil
	}
}

// oneWriter tells whether a second pod beside the first would be a second writer to a volume that is made for one: its claim was read, no access mode lets several
// nodes write, and the pod may write to it. That is not what volume.Chain.Exclusive tells: a claim with ReadWriteOnce and ReadOnlyMany may be attached to many nodes,
// and has one writer.
func oneWriter(v volume.Chain) bool {
	return v.PVC != nil && writable(v) && !slices.Contains(v.AccessModes(), corev1.ReadWriteMany)
}

// oneNode tells whether another node may have to wait for the volume until this one lets go of it.
func oneNode(v volume.Chain) bool { return v.Exclusive() || oneWriter(v) }

// writable tells whether the pod may write to the volume, and finds there what other pods wrote: a claim, or a file server that the pod names itself. A claim that
// was not read is taken for one.
func writable(v volume.Chain) bool {
	s := v.Source
	if s == nil || s.Ephemeral != nil || v.ReadOnly() {
		return false
	}
	if v.Claim == "" {
		return s.NFS != nil || s.CephFS != nil && !s.CephFS.ReadOnly || s.Glusterfs != nil && !s.Glusterfs.ReadOnly || s.AzureFile != nil && !s.AzureFile.ReadOnly ||
			inlineDisk(v) != ""
	}
	modes := v.AccessModes()
	return len(modes) == 0 || slices.ContainsFunc(modes, func(m corev1.PersistentVolumeAccessMode) bool { return m != corev1.ReadOnlyMany })
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
