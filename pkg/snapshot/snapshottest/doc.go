// Package snapshottest builds snapshots for tests from YAML fixtures. It reads files and must not be imported by
// anything but tests.
package snapshottest
