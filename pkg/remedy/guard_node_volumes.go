package remedy

import (
	"fmt"
	"slices"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

func nodeVolumes() Guard {
	return Guard{
		Name: "node-volumes",
		Prevents: "Volumes are detached from a machine that still has them mounted, and given to another: what was not written yet is lost, and two machines write to one " +
			"file system.",
		Flag:  flagAttest,
		Lifts: liftsAttest,
		For:   []ID{DeleteNode},
		Needs: []snapshot.Kind{
			snapshot.Node, snapshot.Lease, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume, snapshot.VolumeAttachment, snapshot.CSINode, snapshot.CSIDriver,
		},
		Node: func(c *NodeCase, _ ID) []Verdict {
			said := map[Level][]string{}
			ev := map[Level][]diagnose.Evidence{}
			for _, p := range c.takes() {
				k := *p.Case
				k.Asked.Attest = "" // the words are judged once, below
				at := k.atRest()
				if at.known && !at.stopped {
					continue // a machine that is off has nothing mounted
				}
				for _, v := range volume.Of(k.S, k.Pod.Object) {
					if one, ok := k.volumeVerdict(v, at); ok {
						said[one.Level] = append(said[one.Level], trimmed(one.Reason))
						if len(said[one.Level]) <= evidencePods {
							ev[one.Level] = append(ev[one.Level], one.Evidence...)
						}
					}
				}
			}
			var out []Verdict
			m := c.machine()
			if n := len(said[Block]); n > 0 {
				out = append(out, m.vouched(Verdict{
					Level: Block, Evidence: slices.Concat(ev[Block], m.nodeEvidence()),
					Reason: fmt.Sprintf("%d %s in use on node %s. %s.", n, plural(n, "volume is", "volumes are"), c.Ref.Name, sentences(said[Block])),
				}))
			}
			if n := len(said[Warn]); n > 0 {
				out = append(out, Verdict{
					Level: Warn, Evidence: slices.Concat(ev[Warn], m.nodeEvidence()),
					Reason: fmt.Sprintf("%d %s not released by node %s. %s.", n, plural(n, "volume is", "volumes are"), c.Ref.Name, sentences(said[Warn])),
				})
			}
			return out
		},
	}
}
