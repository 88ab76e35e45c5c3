package control

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func namespaceDiscoveryFailure() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST509", Slug: "namespace-discovery-failure",
		Doc: diagnose.Doc{
			Title:   "An aggregated API that does not answer keeps namespaces from going",
			Symptom: "Every namespace that is deleted stays in Terminating, empty ones too. The condition NamespaceDeletionDiscoveryFailure is True and names an API group, often metrics.k8s.io.",
			Mechanism: "Before a namespace goes, the namespace controller deletes what is in it, of every kind that the API server lists. A group that is served by another server, through an APIService, " +
				"cannot be listed while that server is down or its certificate is wrong; then nobody knows what is left, and the namespace stays.",
			Confirm: []string{
				"kubectl get apiservices",
				"kubectl get namespaces --field-selector status.phase=Terminating -o yaml",
				"kubectl api-resources",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-apiservice", Risk: diagnose.RiskNone, Text: "Bring the server of that API back: its Deployment, its Service, its certificate. The namespaces go by themselves within minutes.", Command: "kubectl get apiservices"},
				{ID: "delete-apiservice", Risk: diagnose.RiskMedium, Text: "If the software behind it was uninstalled, delete the APIService that it left behind. Nobody can reach objects of that group any more.", Command: "kubectl get apiservices"},
				{ID: "finalize-by-hand", Risk: diagnose.RiskDataLoss, Text: "Taking the finalizer kubernetes out of the namespace by hand leaves its objects behind in the store, where they come back with a namespace of the same name. Not while anything else can be done."},
			},
			Refs: []string{
				"https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
				"https://github.com/kubernetes/kubernetes/issues/75788",
				"https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/namespace/deletion/status_condition_utils.go",
			},
			Since: "Kubernetes 1.16",
		},
		Reach:  scope.ReachCluster,
		Object: namespaceCannotBeListed,
		Log: []diagnose.LogMatch{
			{Text: diagnose.Text{All: []string{"deletion of namespace", "unable to retrieve the complete list of server APIs"}}, Confidence: diagnose.Certain},
			{Text: diagnose.Text{All: []string{"namespace_controller", "unable to retrieve the complete list of server APIs"}}, Confidence: diagnose.Certain},
			// Whoever lists the APIs says so: the garbage collector, the quota controller, kubectl. Namespaces that are deleted meanwhile stay.
			{Text: diagnose.Text{All: []string{"unable to retrieve the complete list of server APIs"}}},
		},
	}
}

func namespaceCannotBeListed(_ *snapshot.Snapshot, o stuck.Object) (diagnose.Finding, bool) {
	h, ok := holds(o, corev1.NamespaceDeletionDiscoveryFailure, corev1.NamespaceDeletionGVParsingFailure)
	if !ok {
		return diagnose.Finding{}, false
	}
	f := diagnose.Finding{Subject: o.Ref, Confidence: diagnose.Certain, Evidence: []diagnose.Evidence{h.evidence}}
	what := "The API groups of the cluster cannot all be listed"
	// client-go/discovery: "unable to retrieve the complete list of server APIs: GROUP/VERSION: why, GROUP/VERSION: why"
	if gv := after(h.message, "server APIs: ", ":, "); strings.Count(gv, "/") == 1 {
		group, version, _ := strings.Cut(gv, "/")
		f.Subject = snapshot.Ref{Kind: "APIService", Name: version + "." + group}
		what = fmt.Sprintf("APIService %s does not answer", f.Subject.Name)
	}
	f.Message = fmt.Sprintf("%s, so the namespace controller cannot know what is left in namespace %s and leaves it.", what, o.Ref.Name)
	return f, true
}
