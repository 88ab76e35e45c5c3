package remedy

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Before is what has to be known of an object before it is changed, to tell afterwards whether that helped.
type Before struct {
	Target snapshot.Ref `json:"target"`
	Node   string       `json:"node,omitempty"`
	// Taken is when the picture was taken, by the cluster's clock: a replacement was made after that.
	Taken time.Time `json:"taken"`
	// Remedies are the rungs that were used.
	Remedies []ID `json:"remedies"`
	// Controller is who makes the replacement: the direct controller of the pod, with its UID; nil for a bare pod.
	Controller *snapshot.Ref `json:"controller,omitempty"`
	// Workload is who stands behind that: the Deployment of a ReplicaSet, else the same.
	Workload *snapshot.Ref `json:"workload,omitempty"`
	// Selector chooses the pods of the workload; empty where there is none.
	Selector string `json:"selector,omitempty"`
	// Siblings are the pods of the workload that were there already: none of them is the replacement.
	Siblings []snapshot.Ref `json:"siblings,omitempty"`
	// Volumes are the PersistentVolumes of the pod that were attached to the node.
	Volumes []string `json:"volumes,omitempty"`
	// Stuck are the pods of the node that were stuck already.
	Stuck []snapshot.Ref `json:"stuck,omitempty"`
	// Expects tells that a replacement is to come, and Because why one is not.
	Expects bool   `json:"expects"`
	Because string `json:"because,omitempty"`
	// Moves are, of a Node that is deleted, the pods that go with it.
	Moves []Before `json:"moves,omitempty"`
}

// Sight is what is seen of an act's effect at one moment.
type Sight struct {
	Act  int       `json:"act"`
	Time time.Time `json:"time"`
	// Gone tells that the object does not exist any more, under its UID.
	Gone bool `json:"gone"`
	// Held are the finalizers that still hold it.
	Held []string `json:"held,omitempty"`
	// Replacement is the pod that its controller made instead.
	Replacement *Replacement `json:"replacement,omitempty"`
	// Attached are the volumes that are still attached to the node, and Detached those that were and are not.
	Attached []string `json:"attached,omitempty"`
	Detached []string `json:"detached,omitempty"`
	// NewlyStuck are pods of the node that are stuck now and were not before.
	NewlyStuck []snapshot.Ref `json:"newlyStuck,omitempty"`
	// Moves are, of a Node that was deleted, what became of each of its pods, in the order of Before.Moves.
	Moves []Sight `json:"moves,omitempty"`
	// Target is the object, where the sight is one of several of an act.
	Target *snapshot.Ref `json:"target,omitempty"`
	// Settled tells that nothing more is to be waited for; Good that what was wanted is there.
	Settled bool `json:"settled"`
	Good    bool `json:"good"`
	// Says puts it in words, one statement each: what is proven, what is still missing, what could not be seen.
	Says []string `json:"says"`
}

// Replacement is a pod that took the place of another.
type Replacement struct {
	Ref   snapshot.Ref `json:"ref"`
	Node  string       `json:"node,omitempty"`
	Word  string       `json:"status"` // the STATUS column
	Ready bool         `json:"ready"`
	// After is how long it took from its creation to being Ready, in seconds; 0 where it is not.
	After int64 `json:"readyAfterSeconds,omitempty"`
	// Stuck says why it will not become Ready, where that shows already.
	Stuck string `json:"stuck,omitempty"`
}
