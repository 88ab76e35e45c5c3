// Package stuck is a part of the sound house.
package stuck
