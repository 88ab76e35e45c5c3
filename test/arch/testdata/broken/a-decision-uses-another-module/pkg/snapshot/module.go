package snapshot

import (
	_ "github.com/olekukonko/tablewriter" // want pure-imports "not among the modules" restricted-imports "tables are drawn in one place"
)
