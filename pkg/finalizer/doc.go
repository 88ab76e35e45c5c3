// Package finalizer tells who holds an object: for each finalizer who owns it, whether that owner is alive, what it still has to do, and what would
// be left behind if the finalizer were taken off by hand.
//
// It knows the finalizers of many projects (see table.go), and finds the owners of others by what is installed and by who wrote the finalizer. It reads
// a snapshot and nothing else, never says that an owner is gone where something that could show it alive was not read, and decides nothing about what
// is to be done: causes, the report and the guards of remedies do.
package finalizer
