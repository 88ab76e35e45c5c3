// Package volume follows the volumes of a pod to what they rest on: claim, PersistentVolume, backend (a server, a driver and its handle, a path),
// VolumeAttachment, the driver's registration and limit on the node, and the driver's own pods.
//
// It tells facts and what is odd about them, with the objects that say so. It decides on no cause and reads nothing that is not in the snapshot;
// what was not read is nil, or said to be unknown, and never taken for absent. Causes and the report use it.
package volume
