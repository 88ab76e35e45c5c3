// Package crowd fills a real API server's store with many idle nodes and pods, for tests of scale.
//
// A hundred thousand pods take many minutes through the API, because each needs a create, a binding and a status
// update. So the crowd is written to etcd in the encoding in which the API server stores objects, before it
// starts: about two orders of magnitude faster, and the API server then serves them like its own. Nothing else may
// be running on the data directory meanwhile, and no controller manager afterwards: it would find the nodes dead.
package crowd
