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
	waits := func(c corev1.ContainerStatus) bool {
		return c.State.Waiting != nil && slices.Contains([]string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"}, c.State.Waiting.Reason)
	}
	failing := 0
	for _, c := range statuses(p.Object) {
		if waits(c) {
			failing++
		}
	}
	var out []pull
	for _, c := range statuses(p.Object) {
		if !waits(c) {
			continue
		}
		w := c.State.Waiting
		x := pull{container: c.Name, image: imageOf(p.Object, c.Name)}
		if w.Message != "" && (w.Reason != "ImagePullBackOff" || strings.Contains(w.Message, "ErrImagePull: ") || strings.Contains(w.Message, "RegistryUnavailable: ") || strings.Contains(w.Message, "SignatureValidationFailed: ")) {
			x.said = w.Message
			x.ev = []diagnose.Evidence{{Object: p.Ref.String(), Field: fmt.Sprintf("status.containerStatuses[%s].state.waiting", c.Name), Value: w.Reason + ": " + w.Message}}
			out = append(out, x)
			continue
		}
		if e, ok := pullEvent(s, p, c.Name, x.image, failing); ok {
			x.said, x.ev = e.Message, []diagnose.Evidence{diagnose.EventEvidence(e)}
			out = append(out, x)
		}
	}
	return out
}

// pullEvent is the last event in which a kubelet tells why it could not pull an image: of this name, or for this container, or, where only one container of the pod waits
// for its image, of any name, because the name is told with a tag that the pod may leave out.
func pullEvent(s *snapshot.Snapshot, p stuck.Pod, container, image string, failing int) (snapshot.EventRecord, bool) {
	events := diagnose.Events(s, p)
	for _, named := range []bool{true, false} {
		if !named && failing > 1 {
			break
		}
		for _, e := range slices.Backward(events) {
			if told(e, "Failed", "FailedPullImage", "InspectFailed", "FailedSync") && pullFailed().Match(e.Message) &&
				(!named || strings.Contains(e.Message, `"`+image+`"`) || strings.Contains(e.Message, `for "`+container+`" with `)) {
				return e, true
			}
		}
	}
	return snapshot.EventRecord{}, false
}

// pullFailed is how kubelets begin what they say of a pull that failed (pkg/kubelet/images image_manager.go); before 1.6 and in excerpts the runtime's
// own words stand alone.
func pullFailed() diagnose.Text {
	return diagnose.Text{Any: []string{
		"Failed to pull image", "Failed to inspect image", "image pull failed for", "Error: image ", "failed to pull and unpack image", "failed to resolve reference",
		"Error response from daemon", "reading manifest", "initializing source docker://", "pinging container registry", "pull QPS exceeded",
		`with ErrImagePull: `, "with RegistryUnavailable: ", // FailedSync of kubelets before 1.10
	}}
}

// told tells whether an event has one of the reasons. One that lost its reason in an excerpt goes by its message.
func told(e snapshot.EventRecord, reasons ...string) bool {
	return e.Reason == "" || slices.Contains(reasons, e.Reason)
}

// failing is the first failed pull that failed of this.
func failing(s *snapshot.Snapshot, p stuck.Pod, fault string) (pull, bool) {
	for _, x := range pullsOf(s, p) {
		if faultOf(x.said) == fault {
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

// network are the words by which a pull fails on its way: before the registry was asked, because it does not answer, or because the connection broke.
func network() []string {
	return []string{
		"i/o timeout", "no such host", "connection refused", "no route to host", "network is unreachable", "TLS handshake timeout", "connection timed out",
		"server misbehaving", "Client.Timeout exceeded", "context deadline exceeded", "connection reset by peer", "Client.Timeout or context cancellation",
		"Temporary failure in name resolution", "proxyconnect", "503 Service Unavailable", "502 Bad Gateway", "504 Gateway", "500 Internal Server Error", "RegistryUnavailable",
		"registry is unavailable", "unexpected EOF", "short read", "short copy", `": EOF`, "http2: server sent GOAWAY", "stream error", "use of closed network connection",
		"broken pipe", "request canceled", "no healthy upstream", "StatusCode: 5", "context canceled", "failed to respond", "connectex:",
		"net/http: invalid header", "malformed HTTP response",
	}
}

// certificates are the words by which the registry's identity is not accepted.
func certificates() []string {
	return []string{
		"x509:", "failed to verify certificate", "server gave HTTP response to HTTPS client", "remote error: tls", "first record does not look like a TLS handshake",
		"certificate signed by unknown authority", "bad certificate",
	}
}

// limits are the words by which a registry, or kubelet itself, slows pulls down.
func limits() []string {
	return []string{
		"toomanyrequests", "429 Too Many Requests", "429 (Too Many Requests)", "pull rate limit", "rate limit exceeded", "pull QPS exceeded", "Too Many Requests", "Rate exceeded",
		"Data limit exceeded", "Quota exceeded for", "StatusCode: 429", "status code 429", "429: ", "rate limited",
	}
}

// refusals are the words by which a registry does not let somebody in (Docker Hub, ECR, Artifact Registry, ACR, Quay, Harbor, GitLab and GitHub; containerd,
// CRI-O and dockerd quote them).
func refusals() []string {
	return []string{
		"unauthorized", "authentication required", "403 Forbidden", "403 (Forbidden)", "401 ", "pull access denied", "insufficient_scope", "no basic auth credentials",
		"access denied", "requested access to the resource is denied", "failed to authorize", "denied: ", `": denied`, "access forbidden", "invalid username/password", "incorrect username or password",
		"authorization token has expired", "is not authorized", "not authorized", "authorization failed", "no pull access", "StatusCode: 403", "StatusCode: 401", "IAM_PERMISSION_DENIED",
		"error getting credentials", "may require 'docker login'", "anonymous access", "invalid_token", "AccessDenied",
	}
}

// unknown are the words by which a registry says that it has no such repository, tag or digest.
func unknown() []string {
	return []string{
		"manifest unknown", "not found", "name unknown", "repository name not known", "does not exist within the repository", "does not exist in the registry",
		"manifest_unknown", "name_unknown", "StatusCode: 404", "404 (Not Found)", "image does not exist", "no such manifest", "invalid status code from registry 404",
	}
}

// formats are the words by which a runtime does not understand what the registry has.
func formats() []string {
	return []string{
		"is no longer supported since containerd", "manifest.v1+prettyjws", "schema 1 support", "schema 1 image", "schema 1 manifest", "unsupported MediaType", "unsupported manifest media type", "missing signature key",
		"encountered unknown type", "unknown media type", "unsupported schema version", "archive/tar: invalid tar header", "unsupported docker v1 repository", "not implemented: media type",
		"mediaType in manifest", "invalid mixed OCI image", "unsupported media type",
	}
}

// platforms are the words by which an image has no build for the node.
func platforms() []string {
	return []string{
		"no match for platform", "no matching manifest for", "no image found in manifest list for architecture", "no image found in image index for architecture", "choosing an image from manifest list",
		"choosing image instance", "does not match the specified platform", "cannot be used on this platform", "cannot be used on this host",
	}
}

// stores are the words by which the node fails to unpack what it pulled, or finds that it is not what it should be.
func stores() []string {
	return []string{
		"failed to extract layer", "failed to register layer", "failed to prepare extraction snapshot", "unexpected commit digest", "failed size validation", "wrong diff id",
		"failed to unpack image on snapshotter", "layer does not exist", "layer not known", "potentially insufficient UIDs or GIDs", "ApplyLayer",
	}
}

// storesToo are weaker words for the same: what fails may be the connection that they were pulled by.
func storesToo() []string {
	return []string{
		"content digest", "committing the finished image", "storing blob", "writing blob", "failed commit on ref", "blob not found", "input/output error", "read-only file system", "snapshotter",
	}
}

// The faults of a pull that are told apart by what was said of it: the slugs of their causes.
const (
	faultLimit       = "image-rate-limit"
	faultCertificate = "image-x509"
	faultDisk        = "image-disk-full"
	faultFormat      = "image-format-unsupported"
	faultPlatform    = "image-arch"
	faultShortName   = "image-short-name"
	faultSignature   = "image-signature"
	faultStore       = "image-store-broken"
	faultNetwork     = "image-registry-unreachable"
	faultRefused     = "image-auth"
	faultUnknown     = "image-not-found"
)

// faultOf tells what a pull failed of; empty where the words are not known. The order is that in which one quotes the other: a token that could not
// be fetched because the registry's name does not resolve is no matter of rights.
func faultOf(said string) string {
	for _, f := range []struct {
		slug string
		text diagnose.Text
	}{
		{faultLimit, diagnose.Text{Any: limits()}},
		{faultSignature, diagnose.Text{Any: signatures()}},
		{faultCertificate, diagnose.Text{Any: certificates()}},
		{faultDisk, diagnose.Text{Any: []string{"no space left on device", "disk quota exceeded", "not enough space on the disk"}}},
		{faultFormat, diagnose.Text{Any: formats()}},
		{faultPlatform, diagnose.Text{Any: platforms()}},
		{faultShortName, diagnose.Text{Any: []string{"short-name", "short name"}}},
		{faultStore, diagnose.Text{Any: stores()}},
		{faultStore, diagnose.Text{All: []string{"content digest", "not found"}}},
		{faultNetwork, diagnose.Text{Any: network()}},
		{faultStore, diagnose.Text{Any: storesToo()}},
		{faultRefused, diagnose.Text{Any: refusals()}},
		{faultUnknown, diagnose.Text{Any: unknown(), None: []string{"executable file not found", "credential"}}},
	} {
		if f.text.Match(said) {
			return f.slug
		}
	}
	return ""
}

// signatures are the words by which a runtime does not accept who made an image (CRI-O and its policy.json).
func signatures() []string {
	return []string{
		"SignatureValidationFailed", "signature validation failed", "Source image rejected", "a signature was required, but no signature exists", "invalid signature",
		"rejected by policy", "Running image docker://",
	}
}
