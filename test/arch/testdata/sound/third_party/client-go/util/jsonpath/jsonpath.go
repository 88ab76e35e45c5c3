package jsonpath

// JSONPath stands in for the real one.
type JSONPath struct{}
