// Package e2e runs the built plugin as its users do, through a real kubectl against a real control plane in which every
// scenario of package scenario has gone wrong at once.
package e2e
