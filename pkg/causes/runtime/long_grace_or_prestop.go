package runtime

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// longGrace is a grace period beyond which people take a pod for stuck that is not: five times the default of core/v1, 30 s.
const longGrace = 150 * time.Second

func longGraceOrPrestop() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST221", Slug: "long-grace-or-prestop", Reach: scope.ReachPod,
		Optional: []snapshot.Kind{snapshot.Event, snapshot.Node},
		Doc: diagnose.Doc{
			Title:   "The pod is given its grace period once more",
			Symptom: "A pod with a long grace period, or with a preStop hook, stays Terminating past its deadline, and goes by itself later.",
			Mechanism: "deletionTimestamp is when the grace period ends that the API server counted. The kubelet counts one of its own: from the moment it saw the " +
				"deletion, and anew after it, or the runtime, was restarted. Kubelets from 1.22 to 1.27 also gave a container the whole period again after a preStop hook that had used it up.",
			Confirm: []string{
				"kubectl get pod {pod} -n {namespace} -o jsonpath={.spec.terminationGracePeriodSeconds}",
				"kubectl get events -n {namespace} --field-selector involvedObject.name={pod}",
				"kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait for a second grace period: then the container is killed."},
				{ID: "shorter-grace", Risk: diagnose.RiskMedium, Text: "Where its work may be cut off: delete it again with a shorter grace period. The process gets SIGKILL after that.", Command: "kubectl delete pod {pod} -n {namespace} --grace-period=1"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination",
				"https://github.com/kubernetes/kubernetes/issues/117373", "https://github.com/kubernetes/kubernetes/issues/115817",
			},
		},
		Pod: findSecondGrace,
		Log: append(
			diagnose.LikelyLines(diagnose.Saying("PreStop hook not completed in grace period"), diagnose.Saying("preStop hook not completed in grace period"), diagnose.Saying("preStop hook for container", "did not complete in")),
			// CRI-O says the grace period in seconds when it begins; ten minutes and more are a long one, and most containers end long before.
			diagnose.LogMatch{Text: diagnose.Saying("Stopping container: ", "(timeout: "), Pattern: `\(timeout: ([6-9]\d{2}|\d{4,})s\)`, Confidence: diagnose.Possible,
				Alternatives: []string{"runtime-state-desync", "d-state-process"}, Decide: "Whether the container still runs as long after as the line says."}),
	}
}

func findSecondGrace(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	f := diagnose.Finding{Confidence: diagnose.Possible}
	if !ending(p) || unwell(s, p.Node) || len(running(p.Object)) == 0 || p.Object.DeletionTimestamp == nil {
		return f, false
	}
	g := p.Object.DeletionGracePeriodSeconds
	if g == nil || *g <= 0 {
		return f, false
	}
	grace, hook := time.Duration(*g)*time.Second, preStop(p.Object)
	again := p.Object.DeletionTimestamp.Add(grace)
	if !s.Now().Before(again) || grace < longGrace && hook == "" {
		return f, false
	}
	requested := p.Object.DeletionTimestamp.Add(-grace)
	f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: "metadata.deletionGracePeriodSeconds", Value: fmt.Sprint(*g)})
	why := fmt.Sprintf("its grace period is %s", scope.Short(grace))
	if hook != "" {
		why += ", container " + hook + " has a preStop hook"
		f.Evidence = append(f.Evidence, diagnose.Evidence{Object: p.Ref.String(), Field: fmt.Sprintf("spec.containers[%s].lifecycle.preStop", hook), Value: "set"})
	}
	for _, e := range s.Events(nodeRef(p.Node)) {
		if e.Reason == "Starting" && e.Component == "kubelet" && e.Last.After(requested) { // pkg/kubelet BirthCry
			f.Confidence, again = diagnose.Likely, e.Last.Add(grace)
			f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
			why += ", and the kubelet of its node was restarted in it"
			break
		}
	}
	if ev := diagnose.Said(s, p, diagnose.Text{}, "FailedPreStopHook"); len(ev) > 0 {
		f.Confidence = diagnose.Likely
		f.Evidence = append(f.Evidence, ev...)
		why += ", and the hook did not end in time"
	}
	if f.Confidence == diagnose.Possible && !diagnose.Silent(s, p) || !s.Now().Before(again) {
		return f, false // the runtime complains of something else, or the second one is over as well
	}
	f.ClearsBy, f.ClearsWhy = again, "the kubelet may give it a whole grace period again, and kills it then"
	f.Message = fmt.Sprintf("Pod %s/%s is past its deadline by less than a second grace period: %s.", p.Ref.Namespace, p.Ref.Name, why)
	f.Alternatives = []string{"d-state-process"}
	f.Decide = fmt.Sprintf("Whether pod %s goes by %s.", p.Ref.Name, again.UTC().Format("15:04:05"))
	return f, true
}

// preStop names a container that runs and has a preStop hook.
func preStop(p *corev1.Pod) string {
	alive := running(p)
	for _, l := range [][]corev1.Container{p.Spec.Containers, p.Spec.InitContainers} {
		for i := range l {
			if h := l[i].Lifecycle; h != nil && h.PreStop != nil {
				for _, name := range alive {
					if name == l[i].Name {
						return name
					}
				}
			}
		}
	}
	return ""
}
