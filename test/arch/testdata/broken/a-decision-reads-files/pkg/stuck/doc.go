// Package stuck reaches a client through source/live, beside its own imports.
package stuck // want pure-imports "pkg/stuck reaches k8s.io/client-go/kubernetes" pure-imports "pkg/stuck reaches k8s.io/client-go/rest"
