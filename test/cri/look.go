package cri

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"
)

// lookKey marks a call of somebody who stands before the machine: no fault of the runtime keeps it from an answer.
const lookKey = "bed-look"

// Running is a process of a container that runs on the machine, whatever the API says.
type Running struct {
	ID, Namespace, Pod, UID, Container string
	Started                            time.Time
}

// Look lists what runs, as somebody sees it who stands before the machine. A frozen machine does not answer.
func Look(ctx context.Context, socket string) ([]Running, error) {
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("look at the runtime: %w", err)
	}
	defer func() { _ = connection.Close() }()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, lookKey, "1"), 10*time.Second)
	defer cancel()
	answer, err := runtimeapi.NewRuntimeServiceClient(connection).ListContainers(ctx, &runtimeapi.ListContainersRequest{
		Filter: &runtimeapi.ContainerFilter{State: &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}},
	})
	if err != nil {
		return nil, fmt.Errorf("look at the runtime: %w", err)
	}
	var out []Running
	for _, c := range answer.GetContainers() {
		labels := c.GetLabels()
		out = append(out, Running{
			ID: c.GetId(), Namespace: labels[kubelettypes.KubernetesPodNamespaceLabel], Pod: labels[kubelettypes.KubernetesPodNameLabel],
			UID: labels[kubelettypes.KubernetesPodUIDLabel], Container: labels[kubelettypes.KubernetesContainerNameLabel],
			Started: time.Unix(0, c.GetCreatedAt()),
		})
	}
	return out, nil
}

// looks tells whether a call is one of Look.
func looks(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return len(md.Get(lookKey)) > 0
}
