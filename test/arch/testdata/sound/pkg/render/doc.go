// Package render is a part of the sound house.
package render
