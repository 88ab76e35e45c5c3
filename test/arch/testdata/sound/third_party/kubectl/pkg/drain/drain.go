package drain

// Helper stands in for the real one.
type Helper struct{}
