// Package room holds package room of the plugin against the real kube-scheduler: random clusters are read as the plugin reads them, what it foretells of
// the pods of a node is written down, and then the scheduler is given the same pods.
package room
