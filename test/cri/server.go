package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

// Listen opens the runtime's socket; Serve answers on it. They are two steps
// so that the kubelet can be pointed at a socket that is there.
func Listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove an old runtime socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for CRI calls: %w", err)
	}
	return listener, nil
}

// Serve serves the runtime and image services until the context ends.
func Serve(ctx context.Context, listener net.Listener, opts Options) error {
	r := newRuntime(opts)
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(16<<20),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			call := fault.Call(path.Base(info.FullMethod))
			about := r.about(request)
			var answer any
			var err error
			if !looks(ctx) {
				err = opts.Faults.Before(ctx, call, about)
			}
			if err == nil {
				answer, err = handle(ctx, request)
			}
			if err != nil {
				logFailure(opts.Log, call, about, err)
			}
			return answer, err
		}),
	)
	runtimeapi.RegisterRuntimeServiceServer(server, r)
	runtimeapi.RegisterImageServiceServer(server, newImages(opts.Images))
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serve CRI calls: %w", err)
	}
	return nil
}

// logFailure writes the line that containerd writes for a call that fails.
func logFailure(log io.Writer, call fault.Call, about fault.Subject, err error) {
	if log == nil {
		return
	}
	subject := fmt.Sprintf("%q", about.ID)
	if call == fault.RunPodSandbox || call == fault.CreateContainer {
		subject = fmt.Sprintf("&PodSandboxMetadata{Name:%s,Namespace:%s,Attempt:0,}", about.Pod, about.Namespace)
	}
	if call == fault.PullImage {
		subject = fmt.Sprintf("%q", about.Image)
	}
	// A log that cannot be written is no reason to fail the call.
	_, _ = fmt.Fprintf(log, "time=%q level=error msg=%q error=%q\n",
		time.Now().UTC().Format(time.RFC3339Nano), fmt.Sprintf("%s for %s failed", call, subject), status.Convert(err).Message())
}
