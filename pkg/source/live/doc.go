// Package live reads a cluster through its API server.
//
// It cannot change one: every request passes a guard that lets only GET and HEAD of known resources out of
// the process (see guard.go), so neither a bug here nor a proxy, exec or attach subresource can write.
//
// The logs of a node stand behind its proxy subresource. Who asks for them (NodeLogs) gets a client of its own, whose guard passes GET of the
// logs of that one node and nothing else, not even what the other one passes (see logguard.go).
//
// What it costs the server: lists are served from the watch cache (resourceVersion=0), in protobuf, and are
// decoded object by object as they arrive, so memory does not grow with the cluster. The census is a Table
// without objects. ConfigMaps and Secrets are only ever asked for as metadata.
//
// Data comes from a rest.Config that package cli makes, and goes to package source's plan.
package live
