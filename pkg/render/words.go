package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// none stands in a table where there is nothing to say.
const none = "-"

// count is a number with its noun: "1 pod", "3 pods".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// reachWords says what a failure spans, for a group of n pods.
func reachWords(r scope.Reach, n int) string {
	switch r {
	case scope.ReachNode:
		return "NODE-WIDE"
	case scope.ReachPod:
		if n == 1 {
			return "THIS POD ONLY"
		}
		return "THESE PODS ONLY"
	case scope.ReachShared:
		return "SHARED"
	case scope.ReachCluster:
		return "CLUSTER-WIDE"
	case scope.ReachUndecided:
		return "UNDECIDED"
	default:
		return strings.ToUpper(string(r))
	}
}

// reachStyle sets the reach off. The words say the same.
func reachStyle(r scope.Reach) style {
	switch r {
	case scope.ReachNode, scope.ReachShared, scope.ReachCluster:
		return red
	case scope.ReachUndecided:
		return yellow
	default:
		return bold
	}
}

// sure is the confidence in brackets, where there is one.
func sure(c scope.Confidence) string {
	if c == "" {
		return ""
	}
	return " (" + string(c) + ")"
}

// stageWords explains a stage of a deletion to somebody who has not read kubelet.
func stageWords(s stuck.Stage) string {
	switch s {
	case stuck.InGrace:
		return "The deletion was asked for, and the pod is still in its grace period."
	case stuck.KillUnconfirmed:
		return "The grace period is over, and the node has not confirmed that the containers stopped. They may still run."
	case stuck.Cleanup:
		return "The containers have ended. The node has not finished cleaning up: volumes, cgroups or devices are still held."
	case stuck.FinalizersOnly:
		return "The node is done with the pod and the final delete was accepted. Only the finalizers keep the object."
	case stuck.NeverScheduled:
		return "The pod never had a node, so no kubelet can end it: the pod garbage collector of the controller manager removes it."
	case stuck.NodeGone:
		return "Its node object does not exist, so no kubelet can confirm anything: the pod garbage collector of the controller manager removes it."
	default:
		return ""
	}
}

// stateWords explains a state.
func stateWords(s stuck.State) string {
	switch s {
	case stuck.Terminating:
		return "It is being deleted and has not gone."
	case stuck.ContainerCreating:
		return "It has a node, which has not created its sandbox and containers: volumes, network and images come first."
	case stuck.PodInitializing:
		return "Its init containers are done and the others have not started."
	case stuck.Init:
		return "An init container has not finished."
	case stuck.ImagePullBackOff:
		return "An image cannot be pulled."
	case stuck.CreateContainerConfigError:
		return "Something that a container's configuration names cannot be had."
	case stuck.CreateContainerError:
		return "The runtime refused to create a container."
	case stuck.RunContainerError:
		return "The runtime created a container and cannot start it."
	case stuck.CrashLoopBackOff:
		return "A container starts and ends again and again."
	case stuck.Unschedulable:
		return "No node is fit for it."
	case stuck.SchedulingGated:
		return "A scheduling gate keeps it from being scheduled."
	case stuck.Pending:
		return "Nobody has taken it up: no scheduler, or no kubelet."
	case stuck.NodeLost:
		return "Its node is unreachable and nothing was done about the pod."
	case stuck.Rejected:
		return "The kubelet of its node refused to run it, and does not try again."
	default:
		return ""
	}
}

// owner is a workload as kubectl takes it on the command line: "deploy/cart".
func owner(r *snapshot.Ref) string {
	if r == nil || r.IsZero() {
		return none
	}
	kind := strings.ToLower(string(r.Kind))
	switch r.Kind {
	case snapshot.Deployment:
		kind = "deploy"
	case snapshot.StatefulSet:
		kind = "sts"
	case snapshot.DaemonSet:
		kind = "ds"
	case snapshot.ReplicaSet:
		kind = "rs"
	}
	return kind + "/" + r.Name
}

// key tells findings apart: those of one code about one subject are one.
func key(f report.Finding) string { return string(f.Code) + " " + f.Subject.String() }

// codes lists the codes of findings without repeating any.
func codes(fs []report.Finding) []string {
	var out []string
	for _, f := range fs {
		if c := string(f.Code); !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// some joins the first few of a list and counts the others: "a, b, c and 4 more".
func some(list []string, n int) string {
	if n <= 0 || len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}

// evidenceBound is how much of one piece of evidence the table quotes, in cells. Wide and explain quote all of it, up
// to evidenceBoundFull.
const (
	evidenceBound     = 220
	evidenceBoundFull = 4000
)
