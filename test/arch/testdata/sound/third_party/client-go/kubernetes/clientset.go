package kubernetes

// Pods stands in for a typed client.
type Pods interface {
	Get(name string) error
	UpdateStatus(name string) error
	EvictV1(name string) error
}
