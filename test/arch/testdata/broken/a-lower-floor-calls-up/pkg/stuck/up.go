package stuck

import (
	_ "example.com/house/pkg/render" // want one-way "stuck imports render, which comes after it"
)
