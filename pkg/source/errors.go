package source

import (
	"context"
	"errors"
	"fmt"
	"net"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Errors that a Backend returns beside those of k8s.io/apimachinery/pkg/api/errors.
var (
	// ErrTruncated is returned by Backend.List after the last object of a list that was cut at its limit.
	ErrTruncated = errors.New("the list was cut at its limit")
	// ErrNotServed is returned, wrapped, where the server does not serve the kind at all. apierrors.IsNotFound
	// does not hold for it, so that a missing API is never taken for a missing object.
	ErrNotServed = errors.New("the server does not serve this kind")
	// ErrNotInDump is returned, wrapped, where a dump holds nothing of the kind, so that nothing is known about it.
	ErrNotInDump = errors.New("the dump holds nothing of this kind")
	// ErrPartInDump is returned, wrapped, after the last object where a dump holds some of the kind, and perhaps not all.
	ErrPartInDump = errors.New("the dump may not hold all objects of this kind")
)

// ForbiddenError says that the pods that were asked for may not be listed, so that there is no answer at all.
type ForbiddenError struct {
	Namespace string // "" = all namespaces
	Err       error  // as the server said it
}

func (e *ForbiddenError) Error() string {
	if e.Namespace == "" {
		return fmt.Sprintf("this user may not list pods in all namespaces; name a namespace that it may read with -n: %v", e.Err)
	}
	return fmt.Sprintf("this user may not list pods in namespace %s: %v", e.Namespace, e.Err)
}

func (e *ForbiddenError) Unwrap() error { return e.Err }

// gapReason gives the one word of a Gap for an error.
func gapReason(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, ErrNotInDump), errors.Is(err, ErrPartInDump):
		return snapshot.ReasonNotInDump
	case errors.Is(err, ErrTruncated):
		return snapshot.ReasonTruncated
	case errors.Is(err, ErrNotServed), apierrors.IsNotFound(err):
		return snapshot.ReasonNotFound
	case apierrors.IsForbidden(err):
		return snapshot.ReasonForbidden
	case apierrors.IsUnauthorized(err):
		return snapshot.ReasonUnauthorized
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err),
		errors.As(err, &network) && network.Timeout():
		return snapshot.ReasonTimeout
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err), errors.As(err, &network):
		return snapshot.ReasonUnavailable
	default:
		return snapshot.ReasonError
	}
}
