package tablewriter

// Table stands in for the real one.
type Table struct{}
