package live

import (
	"net/http"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"example.com/house/pkg/snapshot"
)

// Load reads, and may wait.
func Load(c rest.Interface, pods kubernetes.Pods) (*snapshot.Snapshot, error) {
	c.Verb("GET")
	c.Get()
	if _, err := http.NewRequest(http.MethodGet, "http://127.0.0.1", nil); err != nil {
		return nil, err
	}
	time.Sleep(time.Millisecond)
	return &snapshot.Snapshot{}, pods.Get("a")
}
