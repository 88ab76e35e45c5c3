// Package probe tests `kubectl stuck node N --probe` with the built binary on real kubelets: on a node that works, on one whose runtime, network or registry
// does not, and on one whose kubelet is dead; and that nothing is left of a probe that was interrupted or killed.
package probe
