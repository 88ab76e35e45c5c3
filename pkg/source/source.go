package source

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Query says what the snapshot is for.
type Query struct {
	// Namespace limits which pods are looked for; empty means all namespaces. The nodes they are on are
	// read across namespaces where that is allowed, because "one pod or the node" cannot be told otherwise.
	Namespace string
	// Names limits the pods looked for by name (with a Namespace).
	Names []string
	// LabelSelector and FieldSelector limit the pods looked for, as kubectl get takes them.
	LabelSelector string
	FieldSelector string
	// Nodes are read in full, with everything about them, even where nothing on them looks stuck.
	Nodes []string
	// Room names nodes whose pods have to move. They are read in full, as Nodes are, and so is what tells whether the others have room for their
	// pods: see package room.
	Room []string
	// Needs are the kinds that the causes in use look at. Others are not read, beyond the trunk's own
	// (pods, nodes, node leases, ReplicaSets for owners, volumes for what pods share).
	Needs []snapshot.Kind
	// Objects asks for what is stuck without a pod to show it, too: workloads whose pods cannot be created, and namespaces that do not go. It is
	// passed over where pods are chosen, by name or by a selector.
	Objects bool
	// Owners prepares the search for the owners of the finalizers on objects that are being deleted: see finalizer.Seeker. The definitions may be nil.
	// It returns nil where nobody is to be looked for, else a function that tells which workloads may be one. Where Owners is nil none are looked for.
	Owners func(held []metav1.Object, definitions []*metav1.PartialObjectMetadata) func(workload runtime.Object) bool
	// Also are objects that are read whatever else is: what somebody is about to ask about by name.
	Also []snapshot.Ref
	// Concurrency bounds the requests under way at once; 0 means a sensible default.
	Concurrency int
	// Progress, where set, is told in a few words what is being read.
	Progress func(string)
}

// ListRequest asks a Backend for the objects of one kind.
type ListRequest struct {
	Kind          snapshot.Kind
	Namespace     string // "" = all
	LabelSelector string
	FieldSelector string
	// MetadataOnly asks for metadata alone. Objects come as *metav1.PartialObjectMetadata then.
	MetadataOnly bool
	// Limit ends the list after about so many objects; 0 means no limit. A list that was cut returns ErrTruncated
	// after the last object.
	Limit int
}

// Row is one pod of the census. A live server's rows carry no namespace when all are counted.
type Row struct {
	Name       string
	Status     string // the STATUS word
	Ready      int
	Containers int
	Node       string // "" where it has none
}

// Backend is where objects come from. Errors are those of k8s.io/apimachinery/pkg/api/errors where the
// server said them (NotFound, Forbidden, …). It is safe for concurrent use.
type Backend interface {
	// Open makes contact and tells where the data is from and what time it is there.
	Open(ctx context.Context) (snapshot.Origin, time.Time, error)
	// Census calls row for each pod of the namespace ("" = all) that the selectors match. The row is only valid
	// during the call.
	Census(ctx context.Context, namespace, labelSelector, fieldSelector string, row func(*Row)) error
	// Counts calls row for each workload of the request's kind (see snapshot.Workloads) and namespace that its label selector matches. The
	// row is only valid during the call.
	Counts(ctx context.Context, r ListRequest, row func(*Tally)) error
	// List calls each for every object, as it arrives. each may keep the object.
	List(ctx context.Context, r ListRequest, each func(runtime.Object)) error
	// Get returns one object; an error for which apierrors.IsNotFound holds where it does not exist.
	// Metadata-only kinds come as *metav1.PartialObjectMetadata.
	Get(ctx context.Context, k snapshot.Kind, namespace, name string) (runtime.Object, error)
}

// RowOf makes the census row of a pod, for a Backend that has full objects; false for anything else.
func RowOf(o runtime.Object) (Row, bool) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return Row{}, false
	}
	s := snapshot.StatusOf(p)
	return Row{Name: p.Name, Status: s.Word, Ready: s.Ready, Containers: s.Containers, Node: p.Spec.NodeName}, true
}
