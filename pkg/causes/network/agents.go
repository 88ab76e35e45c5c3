package network

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// installsCNI tells whether the pod writes the node's CNI configuration or binaries: every network provider does that
// through a hostPath volume.
func installsCNI(p *corev1.Pod) bool {
	for i := range p.Spec.Volumes {
		h := p.Spec.Volumes[i].HostPath
		if h == nil {
			continue
		}
		if strings.Contains(h.Path, "/cni/net.d") || strings.HasSuffix(h.Path, "/etc/cni") || strings.Contains(h.Path, "/opt/cni") {
			return true
		}
	}
	return false
}

// agents is what the picture tells of a node's network provider.
type agents struct {
	words []string      // one for each of its pods on the node
	ill   bool          // one of them is not ready
	runs  time.Duration // how long the one that started last has run; 0 where none runs
	none  string        // the DaemonSet that has pods elsewhere and none here, where all pods of the node were read
	ev    []diagnose.Evidence
}

// agentsOn looks at the pods that provide the node's network.
func agentsOn(s *snapshot.Snapshot, node string) agents {
	var a agents
	pods, all := s.PodsOnNode(node)
	here := map[string]bool{}
	for _, p := range pods {
		if !installsCNI(p) || snapshot.IsTerminal(p) {
			continue
		}
		if c := metav1.GetControllerOf(p); c != nil {
			here[p.Namespace+"/"+c.Name] = true
		}
		st := snapshot.StatusOf(p)
		word := fmt.Sprintf("%s/%s is %s, %d of %d ready", p.Namespace, p.Name, st.Word, st.Ready, st.Containers)
		if d := runsFor(p, s.Now()); d > 0 {
			word += fmt.Sprintf(", started %s ago", duration.HumanDuration(d))
			if a.runs == 0 || d < a.runs {
				a.runs = d
			}
		}
		a.words = append(a.words, word)
		if st.Ready < st.Containers {
			a.ill = true
		}
		a.ev = append(a.ev, diagnose.Evidence{Object: snapshot.RefOf(p).String(), Field: "status", Value: fmt.Sprintf("%s, %d/%d ready", st.Word, st.Ready, st.Containers)})
	}
	if !all || node == "" {
		return a
	}
	for _, p := range s.Pods() {
		c := metav1.GetControllerOf(p)
		if c == nil || c.Kind != string(snapshot.DaemonSet) || !installsCNI(p) || p.Spec.NodeName == node {
			continue
		}
		if name := p.Namespace + "/" + c.Name; !here[name] {
			a.none = name
			return a
		}
	}
	return a
}

// runsFor is how long the container of the pod that started last has run; 0 where none runs.
func runsFor(p *corev1.Pod, now time.Time) time.Duration {
	var latest time.Time
	for i := range p.Status.ContainerStatuses {
		if r := p.Status.ContainerStatuses[i].State.Running; r != nil && r.StartedAt.After(latest) {
			latest = r.StartedAt.Time
		}
	}
	if latest.IsZero() {
		return 0
	}
	return max(now.Sub(latest), 0)
}

// String says it in a sentence, with a space before it; empty where nothing is known.
func (a agents) String() string {
	switch {
	case a.none != "" && len(a.words) == 0:
		return fmt.Sprintf(" No pod of its network provider (DaemonSet %s) is on the node.", a.none)
	case len(a.words) > 0:
		return fmt.Sprintf(" Of its network provider, pod %s.", strings.Join(a.words, "; pod "))
	}
	return ""
}

// wellFor tells whether the provider's pods on the node are all ready and started so long ago.
func (a agents) wellFor(d time.Duration) bool { return len(a.words) > 0 && !a.ill && a.runs >= d }
