package snapshot

import "fmt"

// Gap is something that could not be read. It is data: it is shown in its place, it turns causes that
// need the kind into skips, and it never ends the run.
type Gap struct {
	Kind      Kind   `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty: all namespaces, or a cluster-scoped kind
	Name      string `json:"name,omitempty"`      // set where one object was asked for
	// Reason is a short word: one of the Reason constants.
	Reason string `json:"reason"`
	// Detail is the error as it was given, or what was left out and why.
	Detail string `json:"detail"`
}

// The words of Gap.Reason.
const (
	ReasonForbidden    = "Forbidden"    // the user may not read it
	ReasonUnauthorized = "Unauthorized" // the server does not know the user (any more)
	ReasonNotFound     = "NotFound"     // the server does not serve the kind
	ReasonTimeout      = "Timeout"      // no answer in time
	ReasonUnavailable  = "Unavailable"  // the server is overloaded or cannot be reached
	ReasonTruncated    = "Truncated"    // a limit of ours: what was read is a part, and is as good as any part
	ReasonNotInDump    = "NotInDump"    // a dump that holds nothing of the kind
	ReasonError        = "Error"        // anything else
)

func (g Gap) Error() string {
	what := string(g.Kind)
	if g.Name != "" {
		what += " " + g.Name
	}
	if g.Namespace != "" {
		what += " in namespace " + g.Namespace
	}
	return fmt.Sprintf("%s: %s: %s", what, g.Reason, g.Detail)
}

// Presence is what a snapshot knows about the existence of an object.
type Presence int

// The three answers.
const (
	Unknown Presence = iota // nobody looked, or looking failed
	Present
	Absent // looked for, and not there
)

func (p Presence) String() string { return [...]string{"unknown", "present", "absent"}[p] }

// Origin says where a snapshot is from.
type Origin struct {
	Context string `json:"context,omitempty"` // kubeconfig context
	Server  string `json:"server,omitempty"`  // address of the API server
	Version string `json:"version,omitempty"` // its version
	Path    string `json:"path,omitempty"`    // of the dump
	// Clock says where Now comes from: "API server", "recorded in the dump", "--as-of", "newest timestamp in the dump".
	Clock string `json:"clock,omitempty"`
}
