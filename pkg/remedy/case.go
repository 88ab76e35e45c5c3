package remedy

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/admission"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/finalizer"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/volume"
)

// Case is one pod and what is known of it: all that remedies and guards decide on.
type Case struct {
	S *snapshot.Snapshot
	// Pod is the pod as package stuck sees it. For a pod that is neither stuck nor waiting its State is empty.
	Pod stuck.Pod
	// Stuck and Waiting tell which it is; a pod may be neither.
	Stuck, Waiting bool
	// Findings are those that explain it, the best first.
	Findings []diagnose.Finding
	// Reach is what the failure spans, and Group the stuck pods of its node; Group is nil where nothing on the node is stuck.
	Reach scope.Reach
	Group *scope.Group
	// Owners are those of its finalizers, in the order of metadata.finalizers.
	Owners []finalizer.Owner
	// Volumes are followed to their end on the pod's node.
	Volumes []volume.Link
	// Gates are those that the API server asks before the pod may be deleted, and before it may be patched.
	DeleteGates, UpdateGates []admission.Gate
	Asked                    Asked
	// Planned is the UID that the pod had when it was planned on; the guard "replaced" compares it. Empty for a pod of which no plan was made before.
	Planned types.UID
}

// Picture is what cases are made from.
type Picture struct {
	S     *snapshot.Snapshot
	Found stuck.Result
	D     diagnose.Diagnosis

	chain    *admission.Chain
	follower *volume.Follower
}

// NewPicture gathers what one look at the cluster told.
func NewPicture(s *snapshot.Snapshot, found stuck.Result, d diagnose.Diagnosis) *Picture {
	return &Picture{S: s, Found: found, D: d, chain: admission.NewChain(s), follower: volume.NewFollower(s)}
}

// Run is several cases that one command acts on, for the guards that look at the whole of it.
type Run struct {
	Picture *Picture
	Cases   []*Case
	// Remedies are those chosen for each case, by index.
	Remedies [][]ID
	Asked    Asked
}
