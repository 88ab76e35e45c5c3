package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// kindPodGroup stands for the group of pods that are scheduled together, so that all of them are one finding.
const kindPodGroup snapshot.Kind = "PodGroup"

// The labels and annotations by which schedulers other than the default one mark the group of a pod.
func groupMarks() []string {
	return []string{"scheduling.k8s.io/group-name", "scheduling.x-k8s.io/pod-group", "pod-group.scheduling.sigs.k8s.io", "scheduling.volcano.sh/group-name"}
}

func podGroupWaiting() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST643", Slug: "pod-group-waiting",
		Doc: diagnose.Doc{
			Title:   "The pod is scheduled together with others, and they are not all there or do not all fit",
			Symptom: `Pods of one group are Pending, with "minCount", "gang" or "pod group" in the scheduler's message, or without any message.`,
			Mechanism: "In gang scheduling no pod of a group is placed before enough of them can be. The scheduler holds them back without a condition or an event until the group exists and has its minimum of pods, and then until there is room for that minimum at once. " +
				"A quota, a webhook or a controller that makes fewer pods than the group asks for keeps all of them waiting.",
			Confirm: []string{
				"kubectl get pods -o custom-columns=NAME:.metadata.name,GROUP:.spec.schedulingGroup.podGroupName,NODE:.spec.nodeName -n {namespace}",
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl api-resources --api-group=scheduling.k8s.io",
			},
			Remedies: []diagnose.Remedy{
				{ID: "count-pods", Risk: diagnose.RiskNone, Text: "Compare the group's minimum with how many of its pods exist; if some are missing, see why their controller cannot create them.", Command: "kubectl get pods -n {namespace}"},
				{ID: "make-room", Risk: diagnose.RiskMedium, Text: "If all exist, there must be room for the minimum at once: add nodes, or scale down something else."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/scheduling-eviction/gang-scheduling/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/scheduler/framework/plugins/gangscheduling/gangscheduling.go",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.Node != "" || p.State != stuck.Unschedulable && p.State != stuck.Pending {
				return diagnose.Finding{}, false
			}
			group, field := groupOf(p)
			words := diagnose.Text{Any: []string{"pod group", "podgroup", "minCount", "minAvailable", "minMember", "gang"}}
			ev := diagnose.Said(s, p, words, "FailedScheduling", "Unschedulable")
			if c := snapshot.PodCondition(p.Object, "PodScheduled"); c != nil && words.Match(c.Message) {
				ev = append(ev, diagnose.Evidence{Object: p.Ref.String(), Field: "status.conditions[PodScheduled].message", Value: c.Message})
			} else if len(ev) == 0 && (group == "" || c != nil) {
				return diagnose.Finding{}, false // it is queued, and something else is in its way
			}
			f := diagnose.Finding{Subject: p.OwnerOrSelf(), Confidence: diagnose.Likely, Evidence: ev}
			if group != "" {
				f.Subject = snapshot.Ref{Kind: kindPodGroup, Namespace: p.Ref.Namespace, Name: group}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: field, Value: group})
			}
			n := 0
			for _, q := range s.Pods() {
				if g, _ := groupOf(stuck.Pod{Object: q}); group != "" && q.Namespace == p.Ref.Namespace && g == group {
					n++
				}
			}
			switch {
			case len(ev) > 0:
				f.Message = fmt.Sprintf("The pod is scheduled only together with its group: %s.", quote(ev[len(ev)-1].Value))
			default:
				f.Message = fmt.Sprintf("The pod belongs to the group %s, and the scheduler has not queued it: the group does not exist, or has fewer pods than its minimum (%d that wait, or share a node with one that does, were read).", group, n)
				f.Alternatives = []string{"control-plane-down", "wrong-schedulername"}
				f.Decide = "Whether the PodGroup exists, and how its minimum compares with the number of its pods; and whether other pods are scheduled at all."
			}
			return f, true
		},
	}
}

// groupOf names the group that the pod is scheduled with, and where it stands; empty for one that is scheduled alone.
func groupOf(p stuck.Pod) (name, field string) {
	if p.Object == nil {
		return "", ""
	}
	if g := p.Object.Spec.SchedulingGroup; g != nil && g.PodGroupName != nil && *g.PodGroupName != "" {
		return *g.PodGroupName, "spec.schedulingGroup.podGroupName"
	}
	for _, k := range groupMarks() {
		if v := p.Object.Labels[k]; v != "" {
			return v, "metadata.labels[" + k + "]"
		}
		if v := p.Object.Annotations[k]; v != "" {
			return v, "metadata.annotations[" + k + "]"
		}
	}
	return "", ""
}
