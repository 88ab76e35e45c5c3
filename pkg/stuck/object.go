package stuck

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// ObjectState names what something other than a pod hangs in.
type ObjectState string

// The states of objects other than pods.
const (
	// NoPods is a workload that wants more pods than it could create: there is no pod to look at, and the workload or its events say why.
	NoPods ObjectState = "NoPods"
	// Going is an object that was deleted and does not go: a Namespace.
	Going ObjectState = "Terminating"
)

// Object is something other than a pod that is stuck.
type Object struct {
	Object runtime.Object
	Ref    snapshot.Ref
	State  ObjectState
	Since  time.Time
	For    time.Duration // now - Since
	// Wanted and Created count the pods of a workload; zero for other kinds.
	Wanted, Created int
}
