package v1

// Pod stands in for the real one.
type Pod struct{ Name string }
