package startup

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func initContainerWaiting() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST617", Slug: "init-container-waiting",
		Doc: diagnose.Doc{
			Title:     "An init container runs on and on",
			Symptom:   "STATUS Init:0/1 (or another fraction), the init container Running without an error; the main containers say PodInitializing.",
			Mechanism: "Init containers run one after the other, and each has to end before the next starts. One that waits for something (a database, a name in DNS, a lock, a migration) holds the pod until it gets that.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.initContainerStatuses[*].name} {.status.initContainerStatuses[*].state}' -n {namespace}",
				"kubectl logs {pod} --all-containers --prefix --tail=20 -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "read-log", Risk: diagnose.RiskNone, Command: "kubectl logs {pod} --all-containers --prefix --tail=50 -n {namespace}", Text: "Its log tells mostly what it waits for. Bring that up; the pod goes on by itself."},
				{ID: "wait", Risk: diagnose.RiskNone, Text: "If it copies or migrates data, it may be right to wait."},
				{ID: "delete-pod", Risk: diagnose.RiskLow, Command: "kubectl delete pod {pod} -n {namespace}", Text: "If it hangs, delete the pod; its workload starts a new one. Wrong during a migration that must not be cut off."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/debug/debug-application/debug-init-containers/",
				"https://kubernetes.io/docs/concepts/workloads/pods/init-containers/",
			},
		},
		Reach: scope.ReachPod,
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			if p.Object == nil || p.State != stuck.Init && p.State != stuck.PodInitializing {
				return diagnose.Finding{}, false
			}
			for i, c := range p.Object.Status.InitContainerStatuses {
				if c.State.Running == nil {
					if t := c.State.Terminated; t != nil && t.ExitCode == 0 {
						continue
					}
					return diagnose.Finding{}, false // the first that is not done does not run: another matter
				}
				if isSidecar(p.Object, c.Name) {
					if c.Started != nil && *c.Started {
						continue
					}
					return diagnose.Finding{}, false // it need not end, only start: native-sidecar-never-ready
				}
				since := max(s.Now().Sub(c.State.Running.StartedAt.Time), 0).Round(time.Second)
				if since < p.Threshold {
					return diagnose.Finding{}, false
				}
				return diagnose.Finding{
					Subject: p.OwnerOrSelf(), Confidence: diagnose.Certain,
					Message: fmt.Sprintf("Init container %s (%d of %d) has been running for %s, and the pod waits for its end.", c.Name, i+1, len(p.Object.Spec.InitContainers), since),
					Evidence: []diagnose.Evidence{{
						Object: p.Ref.String(), Field: fmt.Sprintf("status.initContainerStatuses[%s].state.running.startedAt", c.Name),
						Value: c.State.Running.StartedAt.UTC().Format(time.RFC3339),
					}},
				}, true
			}
			return diagnose.Finding{}, false
		},
	}
}

func isSidecar(p *corev1.Pod, name string) bool {
	i := slices.IndexFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
	return i >= 0 && snapshot.IsSidecar(&p.Spec.InitContainers[i])
}
