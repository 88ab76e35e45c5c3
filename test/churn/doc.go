// Package churn holds the plugin against a cluster in which much happens and nothing is wrong: rolling updates, long graceful shutdowns, slow
// image pulls, Jobs, evictions against disruption budgets, a drained node and kubelets that are restarted. Nothing may be called stuck, not
// once.
package churn
