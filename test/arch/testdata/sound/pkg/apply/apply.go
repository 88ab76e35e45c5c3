package apply

import (
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Evict is in the room that may.
func Evict(c rest.Interface, pods kubernetes.Pods) error {
	c.Verb("PATCH")
	c.Delete()
	return pods.EvictV1("a")
}
