// Package plugin builds kubectl-stuck as users install it and runs it through a real kubectl.
package plugin
