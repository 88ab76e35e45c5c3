package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
)

// maxPodLog is how much of a pod's log is asked for, in bytes: that it can be read is the question, and not what is in it.
const maxPodLog = 4096

// LogRefused is the answer that a pod's log cannot be read.
type LogRefused struct {
	Code int // HTTP status
	Text string
}

func (e *LogRefused) Error() string { return fmt.Sprintf("%s (HTTP status %d)", e.Text, e.Code) }

// Lacking tells that it is whoever asks that has not the right. A kubelet that does not let the API server in is told of with the same status, in other words.
func (e *LogRefused) Lacking() bool {
	return e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden && strings.Contains(e.Text, "pods/log")
}

// PodLog reads the beginning of the log of one container through the API server and the kubelet of its node, to see that it can be read. The right to do so is
// get of pods/log. It has a client of its own, which lets out nothing but that one request, and waits so long for the answer. Its error is *LogRefused where the
// server said no.
func PodLog(ctx context.Context, cfg *rest.Config, namespace, pod, container string, wait time.Duration) error {
	for _, bad := range [][]string{validation.IsDNS1123Label(namespace), validation.IsDNS1123Subdomain(pod), validation.IsDNS1123Label(container)} {
		if len(bad) > 0 {
			return fmt.Errorf("container %q of pod %q in %q: not names that they can have", container, pod, namespace)
		}
	}
	server, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return fmt.Errorf("address of the API server: %w", err)
	}
	want := *server
	want.Path = strings.TrimSuffix(server.Path, "/") + "/api/v1/namespaces/" + namespace + "/pods/" + pod + "/log"
	want.RawQuery = url.Values{"container": {container}, "limitBytes": {strconv.Itoa(maxPodLog)}}.Encode()
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout = 0 // of our own
	guarded := false
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		guarded = true
		return oneRequest{next: next, url: &want}
	})
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return fmt.Errorf("client for %s: %w", cfg.Host, err)
	}
	if !guarded {
		return errors.New("live: the transport took no guard")
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("no answer within %s", wait.Round(time.Second)))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, want.String(), nil)
	if err != nil {
		return fmt.Errorf("read the log of pod %s/%s: %w", namespace, pod, err)
	}
	resp, err := own.Do(r)
	if err != nil {
		return fmt.Errorf("read the log of pod %s/%s: %w", namespace, pod, because(ctx, err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4*maxPodLog))
	if err != nil {
		return fmt.Errorf("read the log of pod %s/%s: %w", namespace, pod, because(ctx, err))
	}
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text := strings.TrimSpace(string(body))
	var s metav1.Status
	if json.Unmarshal(body, &s) == nil && s.Message != "" {
		text = s.Message
	}
	if text == "" {
		text = http.StatusText(resp.StatusCode)
	}
	return &LogRefused{Code: resp.StatusCode, Text: text}
}

// because is why a request ended where its context says so, without the address that was asked.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// oneRequest is a transport that lets out the GET of one address, and nothing else.
type oneRequest struct {
	next http.RoundTripper
	url  *url.URL
}

func (o oneRequest) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.Body != nil && r.Body != http.NoBody || r.URL.Host != o.url.Host || r.Host != "" && r.Host != o.url.Host ||
		r.URL.EscapedPath() != o.url.EscapedPath() || r.URL.RawQuery != o.url.RawQuery || r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
		if r.Body != nil {
			_ = r.Body.Close() // a RoundTripper closes the body even where it fails
		}
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrNotALog)
	}
	return o.next.RoundTrip(r)
}
