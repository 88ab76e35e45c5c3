package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/test/node"
)

// The nodes have addresses that no network has. So the API server is told to
// reach them through a proxy, which leads each address to the unix socket of
// that node's kubelet; everything else (Services, pods) it cannot reach.

const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %s
`

func (c *Cluster) egressConfigPath() string { return filepath.Join(c.dir, "egress.yaml") }

// startEgress writes the API server's configuration and serves the proxy until
// the context ends.
func (c *Cluster) startEgress(ctx context.Context) error {
	socket := filepath.Join(c.dir, "egress.sock")
	if err := os.WriteFile(c.egressConfigPath(), fmt.Appendf(nil, egressConfig, socket), 0o600); err != nil {
		return fmt.Errorf("write the egress configuration: %w", err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old egress socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for the API server's connections to nodes: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(c.connect), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	c.workers.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintf(c.opts.Log, "egress: %v\n", err)
		}
	})
	return nil
}

// connect answers CONNECT <node address>:<port>.
func (c *Cluster) connect(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil {
		http.Error(w, "only CONNECT host:port is understood", http.StatusBadRequest)
		return
	}
	n := c.nodeAt(host)
	if n == nil {
		http.Error(w, host+" is not a node of the bed", http.StatusBadGateway)
		return
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	upstream, err := dialer.DialContext(r.Context(), "unix", node.KubeletSocket(n.dir))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer upstream.Close()
	w.WriteHeader(http.StatusOK)
	downstream, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// The API server sees the connection end.
		return
	}
	defer downstream.Close()
	ended := make(chan struct{}, 2)
	pipe := func(to io.Writer, from io.Reader) {
		// However it ends, the other direction ends with it.
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pipe(upstream, buffered)
	go pipe(downstream, upstream)
	<-ended
}

func (c *Cluster) nodeAt(address string) *Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		if n.address == address {
			return n
		}
	}
	return nil
}
