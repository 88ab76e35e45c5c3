// Package snapshottest serves tests: it may read files and the clock.
package snapshottest
