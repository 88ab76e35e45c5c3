// Package control holds the causes that lie in the control plane: controllers that are down, admission webhooks that
// refuse or cannot be reached, finalizers whose owner does not take them away.
package control
