// Package live tests that pkg/source/live and the plan of pkg/source give the right answers on a real API server, and
// that they only read. See also test/live/crowd.
package live
