package startup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func kubeletAdmissionRejects() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST603", Slug: "kubelet-admission-rejects",
		Doc: diagnose.Doc{
			Title:   "The kubelet refused to run the pod",
			Symptom: "Pods in phase Failed with a reason such as OutOfcpu, OutOfpods, NodeAffinity, TopologyAffinityError or PodFeatureUnsupported, of which no container ever ran; their workload makes one after the other.",
			Mechanism: "The kubelet checks again what the scheduler decided, by what it knows itself. Where the two differ (a pod that was given its node by hand, a scheduler that does not know of another's pods, labels that changed, " +
				"CPUs that cannot be aligned on one NUMA node, a feature or a sysctl that this kubelet does not have), it refuses the pod for good. The scheduler may send the next one to the same node.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.reason} {.status.message}' -n {namespace}",
				"kubectl describe node {node}",
				"kubectl get pods -A --field-selector status.phase=Failed",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-message", Risk: diagnose.RiskNone, Command: "kubectl get pod {pod} -o jsonpath='{.status.message}' -n {namespace}", Text: "The status says what was missing, with numbers."},
				{ID: "fix-workload", Risk: diagnose.RiskLow, Text: "Remove spec.nodeName from what sets it, so that the scheduler places the pod; or ask for what nodes have; or spread pods of two schedulers over different nodes."},
				{ID: "delete-pods", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Delete the refused pods: nothing of them ran."},
				{ID: "cordon", Risk: diagnose.RiskMedium, Command: "kubectl cordon {node}", Text: "If one refused pod follows the other, cordon the node."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/administer-cluster/topology-manager/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/lifecycle/predicate.go",
				"https://github.com/kubernetes/kubernetes/issues/115325",
			},
		},
		Reach: scope.ReachNode,
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			said, ok := refusalOf(p)
			reason := ""
			if ok {
				reason = p.Object.Status.Reason
			}
			if !ok || deviceWords().Match(said) || reason == "AppArmor" {
				return diagnose.Finding{}, false
			}
			if reason == unexpectedAdmission && !(diagnose.Text{Any: notOfDevices()}).Match(said) {
				return diagnose.Finding{}, false // device-plugin-not-ready-admission
			}
			why, ofPod := refusalWords(reason)
			f := diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Certain,
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.reason", Value: strings.TrimSuffix(reason+": "+p.Object.Status.Message, ": ")}},
			}
			if ofPod {
				f.Subject, f.Reach = p.OwnerOrSelf(), scope.ReachPod
			}
			f.Message = fmt.Sprintf("The kubelet on node %s refused the pod (%s): %s.", p.Node, reason, why)
			if said != "" {
				f.Message = fmt.Sprintf("The kubelet on node %s refused the pod (%s): %s: %s.", p.Node, reason, why, quote(said))
			}
			switch {
			case strings.HasPrefix(reason, "OutOf") && p.Object.Spec.SchedulerName != "" && p.Object.Spec.SchedulerName != "default-scheduler":
				f.Message += fmt.Sprintf(" It was placed by the scheduler %q, which may not know of the others' pods.", p.Object.Spec.SchedulerName)
			case reason == "NodeShutdown":
				f.Alternatives, f.Decide = []string{"node-shutdown-graceful"}, "Whether the node goes down, by its condition Ready and its events."
			}
			f.Message += refusedAlike(s, p.Object)
			return f, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"Predicate failed on Pod"}}},
			{Text: diagnose.Text{All: []string{"Failed to admit pod"}, None: []string{"no healthy devices", "unregistered device"}}},
			{Text: diagnose.Text{Any: []string{"TopologyAffinityError", "SMTAlignmentError", "Pod requires node features that are not available", "not enough cpus available to satisfy request"}}},
		},
	}
}

// refusalWords says what a reason means, and whether it lies in the pod rather than in what the node has at the moment.
func refusalWords(reason string) (why string, ofPod bool) {
	switch {
	case reason == "OutOfpods":
		return "it has as many pods as it may have", false
	case strings.HasPrefix(reason, "OutOf"):
		return "it has not enough " + strings.TrimPrefix(reason, "OutOf") + " left, although the pod was sent there", false
	case slices.Contains([]string{"NodeAffinity", "MatchNodeSelector", "NodeName", "NodePorts", "TaintToleration"}, reason):
		return "the node does not fit what the pod asks for, though it did when it was placed, or nobody looked", false
	case slices.Contains([]string{"TopologyAffinityError", "SMTAlignmentError", "EmptyPodSharedPoolError"}, reason):
		return "its CPUs, memory and devices cannot be aligned as the node's policy demands", false
	case reason == "NodeShutdown":
		return "the node is shutting down", false
	case reason == "InvalidNodeInfo":
		return "the kubelet did not know its own Node object yet", false
	case reason == "PodFeatureUnsupported":
		return "the pod needs a feature that this kubelet does not have", true
	case slices.Contains([]string{"PodOSNotSupported", "PodOSSelectorNodeLabelDoesNotMatch"}, reason):
		return "the pod is made for another operating system", true
	case reason == "SysctlForbidden":
		return "the pod sets a sysctl that this kubelet does not allow", true
	case slices.Contains([]string{"SupplementalGroupsPolicyNotSupported", "InitContainerRestartPolicyForbidden", "PodLevelResourcesNotSupported"}, reason):
		return "the pod uses something that this kubelet or its runtime does not support", true
	case reason == "VolumeAttachmentLimitExceeded":
		return "no more volumes can be attached to the node", false
	}
	return "it could not take it", false
}
