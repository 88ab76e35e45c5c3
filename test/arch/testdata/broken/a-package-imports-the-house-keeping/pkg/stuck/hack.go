package stuck

import (
	_ "example.com/house/hack/gen2" // want one-way "hack/gen2, which is not below pkg"
)
