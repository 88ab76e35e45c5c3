package snapshot

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Ref names one object. UID is empty where it is not known.
type Ref struct {
	Kind      Kind      `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid,omitempty"`
}

// String is how the object is named to people: "pod shop/cart-7d9", "node worker-3".
func (r Ref) String() string {
	k := strings.ToLower(string(r.Kind))
	if r.Namespace == "" {
		return k + " " + r.Name
	}
	return k + " " + r.Namespace + "/" + r.Name
}

// IsZero tells whether the reference names nothing.
func (r Ref) IsZero() bool { return r.Kind == "" && r.Name == "" }

// Is tells whether both name the same object; UIDs count only where both are known.
func (r Ref) Is(o Ref) bool {
	return r.Kind == o.Kind && r.Namespace == o.Namespace && r.Name == o.Name &&
		(r.UID == "" || o.UID == "" || r.UID == o.UID)
}
