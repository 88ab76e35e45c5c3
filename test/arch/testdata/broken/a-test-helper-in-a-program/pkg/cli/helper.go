package cli

import (
	_ "testing" // want helpers-in-tests "imports testing outside its tests"

	_ "example.com/house/pkg/snapshot/snapshottest" // want helpers-in-tests "snapshottest outside its tests"
)
