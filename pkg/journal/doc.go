// Package journal keeps what was done to clusters, and what is needed to take it back, on this machine's disk, before a cluster is touched.
//
// A run is one file of JSON lines: a remedy.Record, then remedy.Entry lines that are only ever added. The record is written to a file of another
// name, synced and renamed, so that it is whole or not there; each entry is synced before the next step. It never holds the data of a Secret,
// because nothing here ever reads any. Files are for their owner alone. They are read back as hostile input.
//
// It knows nothing of clusters. Package apply writes to it, package cli reads it.
package journal
