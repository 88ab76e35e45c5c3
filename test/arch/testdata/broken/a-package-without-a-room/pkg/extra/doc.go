// Package extra has no room.
package extra // want known-room "pkg/extra has no room"
