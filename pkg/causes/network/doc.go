// Package network holds the causes that lie in pod networking: CNI plugins, their configuration, addresses and tokens.
package network
