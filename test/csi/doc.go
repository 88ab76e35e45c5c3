// Package csi is the node half of a CSI driver whose volumes are empty
// folders: enough for the kubelet to register a driver, for CSINode to name it,
// and for pods with its volumes to run. Faults come from the node's fault.Set.
// The controller half, which attaches volumes, is played by package bed.
package csi
