// Package startup holds the causes that keep a pod from starting apart from volumes and network: scheduling, images,
// configuration, devices, and containers that end again.
package startup
