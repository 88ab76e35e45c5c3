// Command testbed is every program of a Kubernetes cluster in one binary; its
// first argument says which one to be:
//
//	testbed etcd | kube-apiserver | kube-controller-manager | kube-scheduler [flags]
//	testbed kubelet CONFIG.json   a node of the bed, see package node
//	testbed kubectl [args]        also when called through a link named kubectl
//
// One binary, because most of it is the same code: six would be six times as
// long to link. Package bed builds and starts it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the API server's clients are measured, as in the real one
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/kubectl-stuck/kubectl-stuck/test/node"
)

func main() {
	os.Exit(run())
}

func run() int {
	// The components read os.Args themselves.
	if filepath.Base(os.Args[0]) == "kubectl" {
		return runKubectl()
	}
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testbed etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kubectl [args]")
		return 2
	}
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "etcd":
		etcdmain.Main(os.Args)
		return 0
	case "kube-apiserver":
		return cli.Run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		return cli.Run(controllermanager.NewControllerManagerCommand())
	case "kube-scheduler":
		return cli.Run(scheduler.NewSchedulerCommand())
	case "kubelet":
		if err := runNode(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			return 1
		}
		return 0
	case "kubectl":
		return runKubectl()
	default:
		fmt.Fprintf(os.Stderr, "testbed: no component is called %q\n", os.Args[0])
		return 2
	}
}

func runKubectl() int {
	cmd := kubectl.NewDefaultKubectlCommand()
	if err := cli.RunNoErrOutput(cmd); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}

func runNode(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: testbed kubelet CONFIG.json")
	}
	logs.InitLogs()
	defer logs.FlushLogs()
	config, err := node.ReadConfig(args[0])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return node.Run(ctx, config)
}
