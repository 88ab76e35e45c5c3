package startup

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func devicePluginNotReadyAdmission() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST602", Slug: "device-plugin-not-ready-admission",
		Doc: diagnose.Doc{
			Title:   "The kubelet refused the pod, because its device was not ready",
			Symptom: "Pods in phase Failed with reason UnexpectedAdmissionError, mostly right after a node or its kubelet was restarted; their workload makes one after the other until the device is there.",
			Mechanism: "When a pod comes to a node, and again for each of its pods when the kubelet starts, the kubelet asks the device plugin for the devices that the pod requests. A plugin that has not registered yet, " +
				"or that says that its devices are not healthy, makes the kubelet refuse the pod for good: it is Failed and is never tried again. A controller makes another pod, which may meet the same; a bare pod stays as it is.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.reason} {.status.message}' -n {namespace}",
				"kubectl get node {node} -o jsonpath='{.status.capacity} {.status.allocatable}'",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "heal-plugin", Risk: diagnose.RiskNone, Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}", Text: "See whether the device plugin's pod runs on the node, and whether the node offers the resource again (allocatable above 0)."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Then delete the refused pod: nothing of it ran. A bare pod has to be created again by hand. Failed pods of a workload are leftovers that may go."},
				{ID: "cordon", Risk: diagnose.RiskMedium, Command: "kubectl cordon {node}", Text: "If one refused pod follows the other, cordon the node until the device is there, so that the workload stops sending pods to it."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/kubelet/cm/devicemanager/manager.go",
				"https://github.com/kubernetes/kubernetes/issues/125579",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Node, snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			said, ok := refusalOf(p)
			if !ok || p.Object.Status.Reason != unexpectedAdmission && !deviceWords().Match(said) {
				return diagnose.Finding{}, false
			}
			named := deviceWords().Match(said)
			if !named && (diagnose.Text{Any: append([]string{"Allocate failed due to rpc error"}, notOfDevices()...)}).Match(said) && !strings.Contains(said, "Allocate failed due to rpc error") {
				return diagnose.Finding{}, false // kubelet-admission-rejects
			}
			f := diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Certain,
				Evidence: []diagnose.Evidence{{Object: p.Ref.String(), Field: "status.reason", Value: strings.TrimSuffix(p.Object.Status.Reason+": "+p.Object.Status.Message, ": ")}},
			}
			resource := deviceOf(p.Object, said)
			if resource == "" {
				resource = "its device"
			}
			f.Message = fmt.Sprintf("The kubelet on node %s refused the pod, because %s could not be given to it.", p.Node, resource)
			if !named {
				f.Confidence = diagnose.Likely
				f.Alternatives = []string{"kubelet-admission-rejects"}
				f.Decide = "The message of the pod's status names what could not be allocated: a device, or CPUs and memory of a static policy."
			}
			if n := s.Node(p.Node); n != nil && resource != "its device" {
				q, offered := n.Status.Allocatable[corev1.ResourceName(resource)]
				switch {
				case offered && !q.IsZero():
					f.Message += fmt.Sprintf(" The node offers %s of it now, so that a new pod should be taken.", q.String())
				default:
					f.Message += " The node offers none of it even now: its device plugin does not run, or finds no healthy device."
				}
				f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + p.Node, Field: "status.allocatable[" + resource + "]", Value: q.String()})
			}
			if e, ok := restarted(s, p.Node); ok {
				f.Message += fmt.Sprintf(" %s shortly before.", e.word)
				f.Evidence = append(f.Evidence, e.ev)
			}
			f.Message += refusedAlike(s, p.Object)
			return f, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"no healthy devices present; cannot allocate unhealthy devices", "cannot allocate unregistered device", "previously allocated devices are no longer healthy"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"requested number of devices unavailable for"}}},
			{
				Text:         diagnose.Text{All: []string{"UnexpectedAdmissionError"}, None: []string{"not enough cpus", "memorymanager", "cpumanager"}},
				Alternatives: []string{"kubelet-admission-rejects"},
				Decide:       "The message behind the reason names what could not be allocated.",
			},
		},
	}
}

const unexpectedAdmission = "UnexpectedAdmissionError"

// refusalOf is what the kubelet said when it refused the pod; ok is false for a pod that was not refused, or that is held for another reason.
func refusalOf(p stuck.Pod) (string, bool) {
	if p.Object == nil || !snapshot.Rejected(p.Object) || p.State != stuck.Rejected && (p.State != stuck.Terminating || p.Stage != stuck.FinalizersOnly) {
		return "", false
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(p.Object.Status.Message, "Pod was rejected: "), "Pod ")), true
}

// deviceWords are what the kubelet's device manager says (pkg/kubelet/cm/devicemanager).
func deviceWords() diagnose.Text {
	return diagnose.Text{Any: []string{
		"no healthy devices present", "cannot allocate unregistered device", "previously allocated devices are no longer healthy", "requested number of devices unavailable for", "unknown Device Plugin",
		"endpoint not found in cache for a registered resource", "device plugin PreStartContainer rpc failed", "device plugin GetPreferredAllocation rpc failed", "no containers return in allocation response",
	}}
}

// notOfDevices are what other parts of the kubelet say under the same reason.
func notOfDevices() []string {
	return []string{"not enough cpus", "memorymanager", "cpumanager", "Unexpected error while attempting to recover", "not enough memory", "topology"}
}

// deviceOf is the extended resource that a message names, or the only one that the pod requests; empty where neither tells.
func deviceOf(p *corev1.Pod, said string) string {
	var asked []string
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			for _, list := range []corev1.ResourceList{l[i].Resources.Limits, l[i].Resources.Requests} {
				for name := range list {
					if n := string(name); strings.Contains(n, "/") && !slices.Contains(asked, n) {
						asked = append(asked, n)
					}
				}
			}
		}
	}
	slices.Sort(asked)
	for _, n := range asked {
		if strings.Contains(said, n) {
			return n
		}
	}
	for _, mark := range []string{"unhealthy devices ", "unregistered device ", "unavailable for "} {
		if _, rest, ok := strings.Cut(said, mark); ok {
			if name := strings.TrimRight(strings.Fields(rest + " ")[0], ",."); strings.Contains(name, "/") {
				return name
			}
		}
	}
	if len(asked) == 1 {
		return asked[0]
	}
	return ""
}

type restart struct {
	word string
	ev   diagnose.Evidence
}

// restarted tells from the node's events whether it, or its kubelet, was started again (pkg/kubelet: Rebooted, Starting).
func restarted(s *snapshot.Snapshot, node string) (restart, bool) {
	var out restart
	for _, e := range s.Events(snapshot.Ref{Kind: snapshot.Node, Name: node}) {
		switch {
		case e.Reason == "Rebooted":
			return restart{"The node was rebooted", diagnose.EventEvidence(e)}, true
		case e.Reason == "Starting" && strings.Contains(e.Message, "kubelet"):
			out = restart{"The kubelet was started", diagnose.EventEvidence(e)}
		}
	}
	return out, out.word != ""
}

// refusedAlike says how many other pods of the same controller were refused, with a space before it.
func refusedAlike(s *snapshot.Snapshot, p *corev1.Pod) string {
	c := metav1.GetControllerOf(p)
	if c == nil {
		return " No controller makes another one."
	}
	n := 0
	for _, q := range s.Pods() {
		if o := metav1.GetControllerOf(q); q != p && q.Namespace == p.Namespace && o != nil && o.UID == c.UID && o.Name == c.Name && snapshot.Rejected(q) {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" Another pod of %s %s was refused as well.", c.Kind, c.Name)
	}
	return fmt.Sprintf(" %d other pods of %s %s were refused as well.", n, c.Kind, c.Name)
}
