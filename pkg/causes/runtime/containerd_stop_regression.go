package runtime

import (
	"fmt"
	"sort"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func containerdStopRegression() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST205", Slug: "containerd-stop-regression", Reach: scope.ReachShared,
		Needs: []snapshot.Kind{snapshot.Node},
		Doc: diagnose.Doc{
			Title:     "A version of the runtime does not end containers",
			Symptom:   "Deletions hang on several nodes, all with the same version of the runtime, and on none with another.",
			Mechanism: "Some releases of a runtime lose track of a container's end (containerd 2.0.0 was one). Nodes hang one after the other as they are upgraded, which looks like a fault of the workload.",
			Confirm: []string{
				"kubectl get nodes -o wide",
				"kubectl get pods -A -o wide",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restart-runtime", Risk: diagnose.RiskMedium, Text: "On each node: restart the runtime to free what hangs now."},
				{ID: "change-runtime-version", Risk: diagnose.RiskMedium, Text: "Go back to the version that works, or forward to a mended one, node by node. Pods with volumes that were force-deleted may leave VolumeAttachments behind.", Command: "kubectl drain {node} --ignore-daemonsets"},
			},
			Refs:  []string{"https://github.com/siderolabs/talos/issues/9454", "https://github.com/containerd/containerd/issues/10727"},
			Since: "containerd 2.0.0",
		},
		Cluster: findBadVersion,
	}
}

// findBadVersion compares versions: it speaks only where at least two nodes of one version hang, and at least two of
// another have none, so that chance and a cluster of one version are ruled out.
func findBadVersion(s *snapshot.Snapshot, r scope.Result) []diagnose.Finding {
	nodes := map[string]int{}               // of each version
	hanging := map[string]map[string]bool{} // nodes of each version on which deletions hang
	pods := map[string][]stuck.Pod{}        // by version
	for _, n := range s.Nodes() {
		nodes[n.Status.NodeInfo.ContainerRuntimeVersion]++
	}
	for _, g := range r.Groups {
		v := g.Facts.Runtime
		if v == "" || g.Facts.Ready != "True" {
			continue
		}
		for _, p := range g.Stuck {
			if !ending(p) {
				continue
			}
			if hanging[v] == nil {
				hanging[v] = map[string]bool{}
			}
			hanging[v][g.Node] = true
			pods[v] = append(pods[v], p)
		}
	}
	if len(hanging) != 1 {
		return nil
	}
	var out []diagnose.Finding
	for v, on := range hanging {
		others, well := 0, []string{}
		for w, n := range nodes {
			if w != v && w != "" {
				others += n
				well = append(well, w)
			}
		}
		if len(on) < 2 || others < 2 || workloads(pods[v]) < 2 {
			continue
		}
		sort.Strings(well)
		f := diagnose.Finding{
			Subject: snapshot.Ref{Kind: "RuntimeVersion", Name: v}, Explains: names(pods[v]), Confidence: diagnose.Possible,
			Message: fmt.Sprintf("Deletions hang on %d of the %d nodes with %s, and on none of the %d with %s.",
				len(on), nodes[v], v, others, strings.Join(well, ", ")),
			Alternatives: []string{"d-state-process"},
			Decide:       "Whether a pod that is made and deleted on an unaffected node of that version hangs too, and one on a node of another version does not.",
		}
		if len(on) >= 3 && 2*len(on) >= nodes[v] {
			f.Confidence = diagnose.Likely
		}
		var named []string
		for n := range on {
			named = append(named, n)
		}
		sort.Strings(named)
		for _, n := range named {
			f.Evidence = append(f.Evidence, diagnose.Evidence{Object: "node " + n, Field: "status.nodeInfo.containerRuntimeVersion", Value: v})
		}
		out = append(out, f)
	}
	return out
}
