package runtime

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// ready tells whether the node says that it is well.
func ready(s *snapshot.Snapshot, node string) bool {
	n := s.Node(node)
	if n == nil {
		return false
	}
	c := snapshot.NodeCondition(n, corev1.NodeReady)
	return c != nil && c.Status == corev1.ConditionTrue
}

// unwell tells whether the node is known not to be well. A node that could not be read is neither ready nor unwell.
func unwell(s *snapshot.Snapshot, node string) bool {
	return s.Has(snapshot.Node, "", node) != snapshot.Unknown && !ready(s, node)
}

// ending tells whether the node was asked to end the pod and has not confirmed it.
func ending(p stuck.Pod) bool {
	return p.State == stuck.Terminating && p.Stage == stuck.KillUnconfirmed && !static(p.Object)
}

// starting tells whether the pod waits for the runtime to make its sandbox or its containers.
func starting(p stuck.Pod) bool {
	switch p.State {
	case stuck.ContainerCreating, stuck.PodInitializing, stuck.CreateContainerError, stuck.RunContainerError:
		return true
	case stuck.Pending:
		return p.Node != ""
	case stuck.Init:
		return p.Word == "Init:ContainerCreating"
	default:
		return false
	}
}

// static tells whether the pod only mirrors a manifest on its node, which no deletion through the API ends.
func static(p *corev1.Pod) bool { return p.Annotations[corev1.MirrorPodAnnotationKey] != "" }

// remote tells whether the pod has a volume whose server or device can hang the processes that use it.
func remote(p *corev1.Pod) bool {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.NFS != nil || v.CSI != nil || v.HostPath != nil ||
			v.CephFS != nil || v.RBD != nil || v.ISCSI != nil || v.FC != nil || v.Glusterfs != nil || v.FlexVolume != nil || v.AzureFile != nil {
			return true
		}
	}
	return false
}

// running lists the containers that the API shows as running.
func running(p *corev1.Pod) []string {
	var out []string
	for _, l := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for i := range l {
			if l[i].State.Running != nil {
				out = append(out, l[i].Name)
			}
		}
	}
	return out
}

// workloads counts the workloads behind the pods.
func workloads(pods []stuck.Pod) int {
	seen := map[string]bool{}
	for _, p := range pods {
		seen[p.OwnerOrSelf().String()] = true
	}
	return len(seen)
}

func names(pods []stuck.Pod) []snapshot.Ref {
	var out []snapshot.Ref
	for _, p := range pods {
		out = append(out, p.Ref)
	}
	return out
}

func filter(g scope.Group, keep func(stuck.Pod) bool) []stuck.Pod {
	var out []stuck.Pod
	for _, p := range g.Stuck {
		if keep(p) {
			out = append(out, p)
		}
	}
	return out
}

func nodeRef(name string) snapshot.Ref { return snapshot.Ref{Kind: snapshot.Node, Name: name} }
