package remedy

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func nodeLocalData() Guard {
	return Guard{
		Name:     "node-local-data",
		Prevents: "Data that is on the machine alone is deleted with the pods, or left behind where its workload cannot follow.",
		Flag:     "delete-emptydir-data",
		Lifts:    "--delete-emptydir-data",
		For:      []ID{DeleteNode},
		Needs:    []snapshot.Kind{snapshot.PersistentVolumeClaim, snapshot.PersistentVolume},
		Node: func(c *NodeCase, _ ID) []Verdict {
			var dirs, stay []NodePod
			var words, volumes []string
			for _, p := range c.leaves() {
				refused := strings.Contains(p.Drain.Refuses, "local storage")
				if own := emptyDirs(p.Case.Pod.Object); len(own) > 0 || refused {
					dirs = append(dirs, p)
					words = append(words, p.Case.standing().name()+" ("+orNone(listed(own))+")")
				}
				for _, l := range volume.Of(c.S, p.Case.Pod.Object) {
					if k := l.Kind(); l.Claim != "" && (k == "local" || k == "hostPath") {
						stay = append(stay, p)
						volumes = append(volumes, fmt.Sprintf("%s of %s (%s)", p.Case.standing().volume(l.Claim, l.VolumeName()), p.Case.standing().name(), k))
					}
				}
			}
			var out []Verdict
			if len(dirs) > 0 {
				out = append(out, c.Asked.Lift(Verdict{
					Level:    Block,
					Reason:   fmt.Sprintf("Pods with local storage (use --delete-emptydir-data to override): %s. What they keep there is deleted with them.", sentences(words)),
					Evidence: podsCited(dirs, "spec.volumes", func(p NodePod) string { return strings.Join(emptyDirs(p.Case.Pod.Object), ", ") }),
				}, "delete-emptydir-data"))
			}
			if len(stay) > 0 {
				var ev []diagnose.Evidence
				ev = append(ev, podsCited(stay, "spec.volumes", func(NodePod) string { return "on the node's own disk" })...)
				out = append(out, Verdict{
					Level: Warn, Evidence: ev,
					Reason: fmt.Sprintf("Data stays on the machine: %s. The pods wait for the node to come back, or for somebody to delete the claims and give the data up.", sentences(volumes)),
				})
			}
			return out
		},
	}
}
