package startup

import (
	"fmt"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageStoreBroken() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST641", Slug: "image-store-broken",
		Doc: diagnose.Doc{
			Title:   "The node cannot unpack or keep the image that it pulled",
			Symptom: `ErrImagePull with "failed to extract layer", "content digest … not found", "unexpected commit digest", "failed to register layer" or the like, on one node, while others start the same image.`,
			Mechanism: "The layers came to the node, and what came is not what was announced (a proxy or a cache that changes it, a broken download), or the runtime's store lost a part that it believes to have (a clean-up by hand, a crash, a disk error), " +
				"or the file system does not allow what the layer contains (owners outside of a user namespace, special files, a snapshotter that is not there).",
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=Failed",
				"kubectl describe node {node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "compare-nodes", Risk: diagnose.RiskNone, Text: "See whether the image starts on other nodes. If it does nowhere, pull it by hand and compare digests: a proxy may change it.", Command: "kubectl get pods -A -o wide --field-selector spec.nodeName={node}"},
				{ID: "remove-image", Risk: diagnose.RiskLow, Text: "On the host, remove the image and its content (crictl rmi, ctr -n k8s.io content prune references) and let the kubelet pull it again."},
				{ID: "drain", Risk: diagnose.RiskMedium, Command: "kubectl drain {node} --ignore-daemonsets", Text: "If more than one image is affected, drain the node, check its disk, and start with an empty store."},
			},
			Refs: []string{
				"https://github.com/containerd/containerd/blob/main/docs/content-flow.md",
				"https://github.com/containerd/containerd/issues/1893",
			},
		},
		Reach:    scope.ReachNode,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultStore)
			if !ok {
				return diagnose.Finding{}, false
			}
			return diagnose.Finding{
				Subject: nodeRef(p), Confidence: diagnose.Likely, Evidence: x.ev,
				Message:      fmt.Sprintf("Node %s gets the layers of image %q and cannot unpack or keep them: %s.", p.Node, x.image, x.why()),
				Alternatives: []string{"image-disk-full", "image-registry-unreachable"},
				Decide:       "Whether the image starts on other nodes: if so, it is this node's store or disk. If it fails everywhere alike, what the registry or a proxy hands out is broken.",
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{
				Any:  []string{"failed to extract layer", "failed to register layer", "failed to prepare extraction snapshot", "unexpected commit digest", "failed size validation", "wrong diff id calculated on extraction"},
				None: []string{"no space left on device"},
			}, Alternatives: []string{"image-disk-full"}, Decide: "The end of the line names what failed; a full disk says so."},
			{Text: diagnose.Text{All: []string{"content digest", "not found"}}},
		},
	}
}
