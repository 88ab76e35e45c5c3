// Package bed runs a real Kubernetes cluster on one machine, for tests,
// benchmarks and demos, without containers and without root.
//
// Everything is one multi-call binary (test/cmd/testbed) started several
// times: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and one
// kubelet per node on the fault-injecting runtime of test/cri. Start builds
// that binary when it is missing or outdated, starts the control plane on free
// loopback ports and returns when the API answers; StartNode adds nodes:
//
//	c, err := bed.Start(ctx, bed.Options{Log: os.Stderr})
//	if err != nil { ... }
//	defer c.Stop()
//	node, err := c.StartNode(ctx, "worker-a1", bed.NodeOptions{Zone: "eu-1a"})
//	node.Faults().Add(ctx, fault.Rule{Call: fault.RunPodSandbox, Action: fault.Fail, ...})
//	kubeconfig := c.Kubeconfig() // cluster-admin
//
// For scale tests there are Options.NoControllerManager and NoScheduler, and
// Options.EtcdDir keeps a seeded data directory from one run to the next.
//
// All children are ended by the process id that was remembered at their start,
// and die with the process that started them, however it ends. Nothing listens
// on anything but 127.0.0.1.
//
// The package must know nothing of the plugin under test.
package bed
