// Package source is a part of the sound house.
package source
