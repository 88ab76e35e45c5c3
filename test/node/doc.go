// Package node assembles one node of the bed and runs it in this process: the
// real kubelet code, with the container runtime of package cri, the CSI driver
// of package csi, and mounts, machine and cgroups that are made up.
//
// The kubelet.Dependencies are built here, not taken from kubemark: kubemark's
// have a fake event recorder, and what a pod's events say is what the bed is
// for. The process is the machine: when it ends, its containers are gone.
package node
