package cli

import (
	_ "k8s.io/kubectl/pkg/drain" // want only-apply-writes "which is for writing to a cluster"
)
