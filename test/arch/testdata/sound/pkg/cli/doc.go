// Package cli is a part of the sound house.
package cli
