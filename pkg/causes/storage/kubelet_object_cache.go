package storage

import (
	"fmt"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// cacheLag is how long the kubelet may rightly take to learn of a pod's objects; within it the same words are noise.
const cacheLag = 3 * time.Minute

// noCache are the kubelet's words for an object that its watch has not brought (pkg/kubelet/util/manager, pkg/volume/{configmap,secret,projected}; from
// 1.18 to 1.20 "couldn't propagate object cache").
var noCache = diagnose.Text{Any: []string{"failed to sync configmap cache", "failed to sync secret cache", "couldn't propagate object cache", "\" not registered"}}

func kubeletObjectCache() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST327", Slug: "kubelet-object-cache", Reach: scope.ReachNode,
		Needs: []snapshot.Kind{snapshot.Event},
		Doc: diagnose.Doc{
			Title:   "The kubelet does not get ConfigMaps and Secrets from the API",
			Symptom: "FailedMount with object \"…\" not registered, or \"failed to sync configmap cache\", again and again, although the objects exist.",
			Mechanism: "The kubelet watches the objects that its pods name. For a few seconds after the start of a pod, and at its end, these words are harmless. When they go on, " +
				"the kubelet's watch is broken: the way to the API server, its rights, or a fault of its own.",
			Confirm: []string{
				"kubectl describe pod {pod} -n {namespace}",
				"kubectl get configmaps -n {namespace}",
				"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
			},
			Remedies: []diagnose.Remedy{
				{ID: "check-api-path", Risk: diagnose.RiskNone, Text: "See whether only this node is hit, and whether its kubelet logs errors about watches or rights."},
				{ID: "restart-kubelet", Risk: diagnose.RiskMedium, Text: "Restart the kubelet on the node. Pods with devices of a device plugin may be rejected, and running grace periods begin anew."},
			},
			Refs: []string{
				"https://github.com/kubernetes/kubernetes/issues/105204",
				"kubernetes: pkg/kubelet/util/manager/watch_based_manager.go",
			},
		},
		Pod: func(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
			f := diagnose.Finding{Subject: snapshot.Ref{Kind: snapshot.Node, Name: p.Node}, Confidence: diagnose.Likely}
			if !mounting(p) || p.For < cacheLag {
				return f, false
			}
			for _, e := range diagnose.Events(s, p) {
				if !diagnose.OwnWords(e.Reason) && noCache.Match(e.Message) && s.Now().Sub(e.Last) < cacheLag && e.Last.Sub(p.Since) > cacheLag/3 {
					f.Evidence = append(f.Evidence, diagnose.EventEvidence(e))
				}
			}
			f.Message = fmt.Sprintf("The kubelet of node %s still has not got the ConfigMaps or Secrets of the pod %s after it was bound.", p.Node, scope.Short(p.For))
			return f, len(f.Evidence) > 0
		},
		Log: []diagnose.LogMatch{
			{
				Text:       diagnose.Text{Any: []string{"failed to sync configmap cache", "failed to sync secret cache", "couldn't propagate object cache"}},
				Confidence: diagnose.Possible, Alternatives: []string{"control-plane-down"},
				Decide: "Whether the line goes on for more than two minutes after the kubelet started: until its watches are up it is usual.",
			},
			{
				Text: diagnose.Text{All: []string{"object", "not registered"}}, Pattern: `object \\*"[^"]*"/\\*"[^"]*" not registered`,
				Confidence: diagnose.Possible, Alternatives: []string{"configmap-or-secret-missing"},
				Decide: "Whether the object exists, and whether the line goes on: for a moment at the start and at the end of a pod it means nothing.",
			},
		},
	}
}
