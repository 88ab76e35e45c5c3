// Package status compares the STATUS that the plugin works out for a pod with what a real API server prints for it: the census counts by the
// server's word, and dumps have none.
package status
