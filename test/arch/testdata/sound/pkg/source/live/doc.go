// Package live is a part of the sound house.
package live
