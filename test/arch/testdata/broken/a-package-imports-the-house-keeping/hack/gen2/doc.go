// Package gen2 is no program.
package gen2
