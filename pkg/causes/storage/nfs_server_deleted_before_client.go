package storage

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

func nfsServerDeletedBeforeClient() diagnose.Cause {
	return diagnose.Cause{
		Code: "ST309", Slug: "nfs-server-deleted-before-client", Reach: scope.ReachShared,
		Needs:    []snapshot.Kind{snapshot.Service},
		Optional: []snapshot.Kind{snapshot.EndpointSlice, snapshot.PersistentVolume, snapshot.PersistentVolumeClaim},
		Doc: diagnose.Doc{
			Title:   "The NFS server ran in this cluster and went before its clients",
			Symptom: "Pods hang whose NFS volume points to a Service of the cluster that is gone or has nothing ready behind it.",
			Mechanism: "When a namespace or a release is deleted as a whole, the pod that serves NFS can end before the pods that mount it. Their nodes then " +
				"wait for ever for an answer, and cannot unmount.",
			Confirm: []string{
				"kubectl get services -A",
				"kubectl get endpointslices -A",
				"kubectl get pv -o yaml",
			},
			Remedies: []diagnose.Remedy{
				{ID: "restore-nfs-server", Risk: diagnose.RiskLow, Text: "Start the server again under the same Service and address until the clients are gone. Delete clients first from now on."},
				{ID: "unmount-on-node", Risk: diagnose.RiskHigh, Text: "Otherwise: on each node, umount -f and then umount -l the mounts of that server. What was not written yet is lost."},
			},
			Refs: []string{"https://github.com/rook/rook/issues/6327", "https://kubernetes.io/docs/concepts/storage/volumes/#nfs"},
		},
		Pod: findServerGone,
	}
}

func findServerGone(s *snapshot.Snapshot, p stuck.Pod) (diagnose.Finding, bool) {
	if !mounting(p) && !ending(p) && !cleaning(p) {
		return diagnose.Finding{}, false
	}
	for _, host := range nfsHosts(s, p) {
		f := diagnose.Finding{Subject: snapshot.Ref{Kind: kindNFSServer, Name: host}}
		name, ns := serviceBehind(s, host)
		if name == "" {
			continue
		}
		svc := snapshot.Ref{Kind: snapshot.Service, Namespace: ns, Name: name}
		switch s.Has(snapshot.Service, ns, name) {
		case snapshot.Absent:
			f.Confidence = diagnose.Certain
			f.Message = fmt.Sprintf("The pod mounts NFS from %s, and that Service does not exist any more.", host)
			f.Evidence = []diagnose.Evidence{{Object: svc.String(), Field: "metadata", Value: "does not exist"}}
		case snapshot.Present:
			if answers(s, ns, name) || !s.Complete(snapshot.EndpointSlice, ns) {
				continue // something stands behind it, or nobody knows
			}
			f.Confidence = diagnose.Likely
			f.Message = fmt.Sprintf("The pod mounts NFS from Service %s/%s, and nothing ready stands behind it.", ns, name)
			f.Evidence = []diagnose.Evidence{{Object: svc.String(), Field: "endpointslices", Value: "no ready endpoint"}}
		default:
			continue
		}
		return f, true
	}
	return diagnose.Finding{}, false
}

// serviceBehind finds the Service that a host name or an address stands for.
func serviceBehind(s *snapshot.Snapshot, host string) (name, namespace string) {
	if labels := strings.Split(strings.TrimSuffix(host, "."), "."); len(labels) >= 3 && labels[2] == "svc" {
		return labels[0], labels[1]
	}
	for _, o := range s.Objects(snapshot.Service) {
		if svc, ok := o.(*corev1.Service); ok && svc.Spec.ClusterIP == host {
			return svc.Name, svc.Namespace
		}
	}
	return "", ""
}

// answers tells whether an endpoint of the Service is ready. A nil condition means ready (discovery/v1).
func answers(s *snapshot.Snapshot, namespace, service string) bool {
	for _, e := range s.EndpointSlices(namespace, service) {
		for _, ep := range e.Endpoints {
			if ep.Conditions.Ready == nil || *ep.Conditions.Ready {
				return true
			}
		}
	}
	return false
}
