// Package apply is a part of the sound house.
package apply
