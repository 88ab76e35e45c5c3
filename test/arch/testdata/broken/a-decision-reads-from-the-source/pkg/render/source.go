package render

import (
	_ "example.com/house/pkg/source" // want one-way "source, which is only for cli and apply"
)
