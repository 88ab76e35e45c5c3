// Package world is what tests of the built plugin share: a cluster with it, workloads on it, and what the plugin said and did there.
package world
