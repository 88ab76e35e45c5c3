package startup

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

func sidecarBlocksCompletion() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST619", Slug: "sidecar-blocks-completion",
		Doc: diagnose.Doc{
			Title:     "A Job's work is done, and a container beside it runs on",
			Symptom:   "The pod of a Job is Running with READY 1/2 (or NotReady): its own container ended with exit code 0 long ago, a proxy or a log shipper runs on, and the Job does not complete.",
			Mechanism: "A pod is Succeeded when all of its containers ended. A sidecar that was written as an ordinary container never does. Sidecars that are init containers with restartPolicy Always are ended by the kubelet when the others are done.",
			Confirm: []string{
				"kubectl get pod {pod} -o jsonpath='{.status.containerStatuses[*].name} {.status.containerStatuses[*].state}' -n {namespace}",
				"kubectl get jobs -n {namespace}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "end-sidecar", Risk: diagnose.RiskLow, Text: "End the sidecar in the pod (many have an endpoint for it: Istio's proxy POST /quitquitquit). The Job completes then."},
				{ID: "native-sidecar", Risk: diagnose.RiskLow, Text: "For the next runs, make it an init container with restartPolicy Always (Kubernetes 1.29 or later), or leave it out of Jobs."},
				{ID: "delete-pod", Risk: diagnose.RiskMedium, Command: "kubectl delete pod {pod} -n {namespace}", Text: "Deleting the pod makes the Job run its work again, unless it is suspended or deleted first."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers",
				"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/753-sidecar-containers",
			},
		},
		Reach: scope.ReachPod,
		Node: func(s *snapshot.Snapshot, g scope.Group) (diagnose.Finding, bool) {
			return ofWellNode(s, g, func(p *corev1.Pod) (string, diagnose.Evidence, bool) {
				done, running, since := doneBeside(p)
				if len(done) == 0 || len(running) == 0 || s.Now().Sub(since) < blockedFor {
					return "", diagnose.Evidence{}, false
				}
				return fmt.Sprintf("container %s ended with success %s ago, and container %s runs on", strings.Join(done, ", "), s.Now().Sub(since).Round(time.Minute), strings.Join(running, ", ")),
					diagnose.Evidence{Object: snapshot.RefOf(p).String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.terminated.finishedAt", done[0]), Value: since.UTC().Format(time.RFC3339)}, true
			}, "The work of %s on node %s is done, and something beside it keeps it running: %s.")
		},
	}
}

// blockedFor is how long the work of a Job may be done before what runs on beside it is worth a word. A number of this tool's own.
const blockedFor = 10 * time.Minute

// doneBeside lists the containers of a Job's pod that ended with success for good, and those that run on; since is when the last of the first ended.
func doneBeside(p *corev1.Pod) (done, running []string, since time.Time) {
	if c := metav1.GetControllerOf(p); c == nil || c.Kind != string(snapshot.Job) || p.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return nil, nil, time.Time{}
	}
	for i := range p.Status.ContainerStatuses {
		c := &p.Status.ContainerStatuses[i]
		switch {
		case c.State.Running != nil:
			running = append(running, c.Name)
		case c.State.Terminated != nil && c.State.Terminated.ExitCode == 0:
			done = append(done, c.Name)
			if t := c.State.Terminated.FinishedAt.Time; t.After(since) {
				since = t
			}
		default:
			return nil, nil, time.Time{}
		}
	}
	slices.Sort(done)
	return done, running, since
}
