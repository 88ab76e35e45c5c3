// Package live reads a cluster through its API server.
//
// It cannot change one: every request passes a guard that lets only GET and HEAD of known resources out of
// the process (see guard.go), so neither a bug here nor a proxy, exec or attach subresource can write.
//
// What it costs the server: lists are served from the watch cache (resourceVersion=0), in protobuf, and are
// decoded object by object as they arrive, so memory does not grow with the cluster. The census is a Table
// without objects. ConfigMaps and Secrets are only ever asked for as metadata.
//
// Data comes from a rest.Config that package cli makes, and goes to package source's plan.
package live
