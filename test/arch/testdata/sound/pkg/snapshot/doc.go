// Package snapshot is a part of the sound house.
package snapshot
