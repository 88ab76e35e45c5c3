// Package stuck has a file that this platform does not build.
package stuck // want pure-platform "stuck_plan9.go"
