// Package extra has no room, and still may not import everything.
package extra // want known-room "no room"

import (
	_ "k8s.io/client-go/rest" // want restricted-imports "it reaches for a cluster"
)
