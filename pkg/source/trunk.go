package source

import "github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"

// Trunk lists the kinds that Load reads whatever the causes need: pods and what tells whether they, their node, or something that
// they share is at fault.
func Trunk() []snapshot.Kind {
	return []snapshot.Kind{
		snapshot.Pod, snapshot.Node, snapshot.Lease, snapshot.ReplicaSet, snapshot.PersistentVolumeClaim, snapshot.PersistentVolume,
		snapshot.StorageClass, snapshot.VolumeAttachment,
	}
}
