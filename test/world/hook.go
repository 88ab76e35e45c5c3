package world

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	certutil "k8s.io/client-go/util/cert"
)

// Hook is an admission webhook on loopback.
type Hook struct {
	URL string
	CA  []byte

	server *http.Server
}

// ServeHook answers every review as the function says, which leaves the UID to ServeHook. It may be called from several goroutines.
func ServeHook(ctx context.Context, says func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) (*Hook, error) {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, fmt.Errorf("a certificate for a webhook: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("a certificate for a webhook: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a webhook: %w", err)
	}
	h := &Hook{URL: "https://" + listener.Addr().String() + "/review", CA: certificate}
	h.server = &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var review admissionv1.AdmissionReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
				http.Error(w, "no review", http.StatusBadRequest)
				return
			}
			review.Response = says(review.Request)
			review.Response.UID = review.Request.UID
			review.Request = nil
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(&review); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}),
	}
	go func() { _ = h.server.ServeTLS(listener, "", "") }() // whoever calls it and is not answered says so
	return h, nil
}

// Close ends it.
func (h *Hook) Close() error {
	if err := h.server.Close(); err != nil {
		return fmt.Errorf("end a webhook: %w", err)
	}
	return nil
}
