package cri

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	imageFilesystem = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs"
	imageSize       = 64 << 20
	pullTime        = 300 * time.Millisecond
)

// images is the ImageService. Every image exists in its registry, unless a
// fault says otherwise.
type images struct {
	runtimeapi.UnimplementedImageServiceServer

	mu     sync.Mutex
	pulled map[string]string // name by ID
	file   string            // a name a line; empty: they are forgotten
}

// newImages has the images that were pulled before the machine was started again: they are on its disk.
func newImages(file string) *images {
	i := &images{pulled: map[string]string{}, file: file}
	data, _ := os.ReadFile(file) // there is none at first
	for name := range strings.Lines(string(data)) {
		name = strings.TrimSpace(name)
		i.pulled[imageID(name)] = name
	}
	return i
}

// keep writes down what is there. The caller holds mu.
func (i *images) keep() error {
	if i.file == "" {
		return nil
	}
	names := slices.Sorted(maps.Values(i.pulled))
	if err := os.WriteFile(i.file, []byte(strings.Join(names, "\n")), 0o600); err != nil {
		return status.Errorf(codes.Internal, "write down the images: %v", err)
	}
	return nil
}

// imageName is the name that the pod asked for: the kubelet asks for an image
// that is there by its ID.
func imageName(spec *runtimeapi.ImageSpec) string {
	if name := spec.GetUserSpecifiedImage(); name != "" {
		return name
	}
	return spec.GetImage()
}

func imageID(name string) string {
	if strings.HasPrefix(name, "sha256:") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func digestRef(name string) string {
	if strings.HasPrefix(name, "sha256:") {
		return name
	}
	repository := name
	if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
		repository = name[:at]
	}
	return repository + "@" + imageID("manifest of "+name)
}

func (i *images) ListImages(context.Context, *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	answer := &runtimeapi.ListImagesResponse{}
	for _, name := range i.pulled {
		answer.Images = append(answer.Images, describeImage(name))
	}
	return answer, nil
}

func (i *images) ImageStatus(_ context.Context, request *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	answer := &runtimeapi.ImageStatusResponse{}
	if name, ok := i.pulled[imageID(request.GetImage().GetImage())]; ok {
		answer.Image = describeImage(name)
	}
	return answer, nil
}

func (i *images) PullImage(ctx context.Context, request *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	select {
	case <-time.After(pullTime):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	name := request.GetImage().GetImage()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pulled[imageID(name)] = name
	if err := i.keep(); err != nil {
		return nil, err
	}
	return &runtimeapi.PullImageResponse{ImageRef: imageID(name)}, nil
}

func (i *images) RemoveImage(_ context.Context, request *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.pulled, imageID(request.GetImage().GetImage()))
	if err := i.keep(); err != nil {
		return nil, err
	}
	return &runtimeapi.RemoveImageResponse{}, nil
}

func (i *images) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	usage := []*runtimeapi.FilesystemUsage{{
		Timestamp:  time.Now().UnixNano(),
		FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: imageFilesystem},
		UsedBytes:  &runtimeapi.UInt64Value{Value: 2 << 30},
		InodesUsed: &runtimeapi.UInt64Value{Value: 20000},
	}}
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: usage, ContainerFilesystems: usage}, nil
}

func describeImage(name string) *runtimeapi.Image {
	return &runtimeapi.Image{
		Id:          imageID(name),
		RepoTags:    []string{name},
		RepoDigests: []string{digestRef(name)},
		Size:        imageSize,
		Spec:        &runtimeapi.ImageSpec{Image: name},
	}
}
