// Package deep is elsewhere.
package deep // want known-room "internal/deep is neither below pkg nor cmd nor hack"
