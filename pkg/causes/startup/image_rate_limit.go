package startup

import (
	"fmt"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func imageRateLimit() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST607", Slug: "image-rate-limit",
		Doc: diagnose.Doc{
			Title:     "The registry limits how often images may be pulled",
			Symptom:   `ErrImagePull and ImagePullBackOff with "toomanyrequests" or 429; pods whose images are on the node start.`,
			Mechanism: `Registries count pulls per account or, without credentials, per source address, which all nodes behind one gateway share. "pull QPS exceeded" is the limit of kubelet itself (registryPullQPS) and passes by itself.`,
			Confirm: []string{
				"kubectl get events --field-selector involvedObject.name={pod} -n {namespace}",
				"kubectl get events -A --field-selector reason=Failed",
			},
			Remedies: []diagnose.Remedy{
				{ID: "wait", Risk: diagnose.RiskNone, Text: "Wait: the limit is lifted after the registry's period, often some hours, and kubelet tries again by itself."},
				{ID: "authenticate", Risk: diagnose.RiskLow, Text: "Pull with an account that has a higher limit: add an imagePullSecret."},
				{ID: "mirror", Risk: diagnose.RiskLow, Text: "Pull through a mirror or copy the image to a registry of your own."},
				{ID: "other-node", Risk: diagnose.RiskLow, Text: "Start the pod on a node that has the image already, where imagePullPolicy allows that.", Command: "kubectl get nodes -o wide"},
			},
			Refs: []string{
				"https://kubernetes.io/docs/concepts/containers/images/",
				"https://docs.docker.com/docker-hub/usage/",
			},
		},
		Reach:    scope.ReachShared,
		Optional: []snapshot.Kind{snapshot.Event},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			x, ok := failing(s, p, faultLimit)
			if !ok {
				return diagnose.Finding{}, false
			}
			if strings.Contains(x.said, "pull QPS exceeded") {
				return diagnose.Finding{
					Subject: nodeRef(p), Reach: scope.ReachNode, Confidence: diagnose.Certain, Evidence: x.ev,
					Message: fmt.Sprintf("Kubelet on node %s starts no more pulls than registryPullQPS allows, and this one has to wait.", p.Node),
				}, true
			}
			return diagnose.Finding{
				Subject: x.registryRef(), Confidence: diagnose.Certain, Evidence: x.ev,
				Message: fmt.Sprintf("The registry %s limits pulls: %s.", registryOf(x.image), x.why()),
			}, true
		},
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{Any: []string{"toomanyrequests", "pull rate limit"}}, Confidence: diagnose.Certain},
			// Whatever speaks HTTP may be told so: it must be about an image.
			{
				Text: diagnose.Text{Any: []string{"429 Too Many Requests", "429 (Too Many Requests)"}}, Pattern: `pull|image|manifest|registry|/v2/|blobs/`,
				Confidence: diagnose.Certain,
			},
			{Text: diagnose.Text{All: []string{"pull QPS exceeded"}}},
		},
	}
}
