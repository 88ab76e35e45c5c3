package startup

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The kinds of what a failed pull is about. They are no Kubernetes objects; naming them lets the pods that wait for
// the same image, or for the same registry, be one finding.
const (
	kindImage    snapshot.Kind = "Image"
	kindRegistry snapshot.Kind = "Registry"
)

// pull is the last failure to pull one image of a pod.
type pull struct {
	container string
	image     string
	said      string
	ev        []diagnose.Evidence
}

// pullsOf lists what the last attempts to pull the images of the pod said. Recent kubelets repeat the error in
// ImagePullBackOff; of older ones the event tells it.
func pullsOf(s *snapshot.Snapshot, p stuck.Pod) []pull {
	if p.Object == nil || p.State != stuck.ImagePullBackOff {
		return nil
	}
	var out []pull
	for _, c := range statuses(p.Object) {
		w := c.State.Waiting
		if w == nil || !slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"}, w.Reason) {
			continue
		}
		x := pull{container: c.Name, image: imageOf(p.Object, c.Name)}
		if w.Message != "" && (w.Reason != "ImagePullBackOff" || strings.Contains(w.Message, "ErrImagePull") || strings.Contains(w.Message, "RegistryUnavailable")) {
			x.said = w.Message
			x.ev = []diagnose.Evidence{{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name), Value: w.Reason + ": " + w.Message}}
			out = append(out, x)
			continue
		}
		for _, e := range slices.Backward(diagnose.Events(s, p)) {
			if e.Reason == "Failed" && strings.Contains(e.Message, "Failed to pull image") && strings.Contains(e.Message, `"`+x.image+`"`) {
				x.said, x.ev = e.Message, []diagnose.Evidence{diagnose.EventEvidence(e)}
				out = append(out, x)
				break
			}
		}
	}
	return out
}

// failing is the first failed pull that has one of the texts.
func failing(s *snapshot.Snapshot, p stuck.Pod, t diagnose.Text) (pull, bool) {
	for _, x := range pullsOf(s, p) {
		if t.Match(x.said) {
			return x, true
		}
	}
	return pull{}, false
}

// why is the end of what was said, where the innermost error stands: behind the last thing in quotes.
func (x pull) why() string {
	said := strings.TrimRight(strings.TrimSpace(x.said), `"`)
	if i := strings.LastIndex(said, `": `); i >= 0 {
		said = said[i+len(`": `):]
	}
	return quote(said)
}

func (x pull) imageRef() snapshot.Ref { return snapshot.Ref{Kind: kindImage, Name: x.image} }

func (x pull) registryRef() snapshot.Ref {
	return snapshot.Ref{Kind: kindRegistry, Name: registryOf(x.image)}
}

// registryOf is the host of an image name: what stands before the first slash, if it looks like a host.
func registryOf(image string) string {
	host, _, ok := strings.Cut(image, "/")
	if ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return host
	}
	return "docker.io"
}

// statuses lists the states of init containers and containers.
func statuses(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
}

// imageOf is the image that the pod asks for in a container.
func imageOf(p *corev1.Pod, container string) string {
	for _, l := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range l {
			if l[i].Name == container {
				return l[i].Image
			}
		}
	}
	return ""
}

// quote is the end of a message, where the innermost error stands, short enough to be read.
func quote(message string) string {
	message = strings.TrimRight(strings.Join(strings.Fields(strings.ReplaceAll(message, `\"`, `"`)), " "), `".`)
	for _, mark := range []string{" desc = ", "unable to start container process: ", "error during container init: ", "Failed to prepare dynamic resources: "} {
		if i := strings.LastIndex(message, mark); i >= 0 {
			message = message[i+len(mark):]
		}
	}
	const most = 200
	r := []rune(message)
	if len(r) <= most {
		return message
	}
	return "…" + string(r[len(r)-most:])
}

// network are the words by which a pull fails on its way to the registry, before the registry was asked.
func network() []string {
	return []string{
		"i/o timeout", "no such host", "connection refused", "no route to host", "network is unreachable", "TLS handshake timeout",
		"server misbehaving", "Client.Timeout exceeded", "context deadline exceeded", "connection reset by peer",
		"Temporary failure in name resolution", "proxyconnect", "503 Service Unavailable", "502 Bad Gateway", "RegistryUnavailable",
	}
}

// certificates are the words by which the registry's identity is not accepted.
func certificates() []string {
	return []string{"x509:", "failed to verify certificate", "server gave HTTP response to HTTPS client"}
}

// limits are the words by which a registry, or kubelet itself, slows pulls down.
func limits() []string {
	return []string{"toomanyrequests", "429 Too Many Requests", "pull rate limit", "rate limit exceeded", "pull QPS exceeded"}
}
