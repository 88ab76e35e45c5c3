package snapshot

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Rejected tells whether a kubelet refused to run the pod: its phase is Failed and nothing of it was ever started. The kubelet does not try
// again; a controller makes another pod, which the scheduler may send to the same node. Since 1.26 or so the message begins with "Pod was
// rejected" (pkg/kubelet rejectPod); before, only the reason told.
func Rejected(p *corev1.Pod) bool {
	if p.Status.Phase != corev1.PodFailed || p.Spec.NodeName == "" {
		return false
	}
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil && !t.StartedAt.IsZero() || p.Status.ContainerStatuses[i].ContainerID != "" {
			return false
		}
	}
	return RejectionReason(p.Status.Reason) || strings.HasPrefix(p.Status.Message, "Pod was rejected")
}

// RejectionReason tells whether a kubelet that refuses a pod gives this reason in its status (pkg/kubelet/lifecycle, nodeshutdown, sysctl and
// cm; the names of scheduler predicates that it checks again). "Evicted" is not among them: most pods of that reason did run.
func RejectionReason(reason string) bool {
	switch reason {
	case "UnexpectedAdmissionError", "UnknownReason", "UnexpectedPredicateFailureType", "InvalidNodeInfo", "PodOSSelectorNodeLabelDoesNotMatch", "PodOSNotSupported",
		"InitContainerRestartPolicyForbidden", "SupplementalGroupsPolicyNotSupported", "PodLevelResourcesNotSupported", "AppArmor", "NodeShutdown", "SysctlForbidden",
		"TopologyAffinityError", "SMTAlignmentError", "NodeAffinity", "MatchNodeSelector", "NodePorts", "NodeName", "TaintToleration":
		return true
	}
	return strings.HasPrefix(reason, "OutOf") // OutOfcpu, OutOfpods, OutOfexample.com/gpu: not enough of it
}
