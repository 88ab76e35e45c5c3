package live

import (
	"net/http"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func write(c rest.Interface, pods kubernetes.Pods, verb string) error {
	c.Verb("DELETE")                                             // want only-apply-writes "not the constant GET"
	c.Verb(verb)                                                 // want only-apply-writes "not the constant GET"
	c.Delete()                                                   // want only-apply-writes "(k8s.io/client-go/rest.Interface).Delete"
	evict := pods.EvictV1                                        // want only-apply-writes "EvictV1"
	_ = pods.UpdateStatus("a")                                   // want only-apply-writes "UpdateStatus"
	if _, err := http.NewRequest("PATCH", "", nil); err != nil { // want only-apply-writes "net/http.NewRequest"
		return err
	}
	if _, err := http.Post("", "", nil); err != nil { // want only-apply-writes "net/http.Post"
		return err
	}
	return evict("a")
}

// A method of ours may be called Delete.
type cache struct{}

func (cache) Delete(string) {}

func fine(c cache) { c.Delete("a") }
