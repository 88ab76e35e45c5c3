package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"

	certutil "k8s.io/client-go/util/cert"
)

// serveKubeletAPI is what the API server reaches as the node's port 10250. It
// answers /logs/ from the node's own log files, which the kubelet would take
// from /var/log of the machine that the bed runs on, and leads the rest to the
// kubelet.
func serveKubeletAPI(ctx context.Context, c Config) error {
	certPEM, keyPEM, err := certutil.GenerateSelfSignedCertKey(c.Name, nil, nil)
	if err != nil {
		return fmt.Errorf("make the kubelet's certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("load the kubelet's certificate: %w", err)
	}
	socket := KubeletSocket(c.Dir)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove an old kubelet socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for the API server: %w", err)
	}
	kubelet := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.KubeletPort))}
	mux := http.NewServeMux()
	mux.Handle("/logs/", http.StripPrefix("/logs/", logHandler{dir: c.LogDir(), node: c.Name, mode: c.Logs}))
	mux.Handle("/", httputil.NewSingleHostReverseProxy(kubelet))
	server := &http.Server{
		Handler:           mux,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API server: %w", err)
	}
	return nil
}
