package bed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs every certificate of one cluster: the API server's own and
// those of its clients. Users are certificates, so that any user in any group
// can be made while the cluster runs.
type authority struct {
	key     *ecdsa.PrivateKey
	cert    *x509.Certificate
	certPEM []byte
}

const certLifetime = 7 * 24 * time.Hour

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate the key of the cluster's certificate authority: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "testbed-ca"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(certLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the cluster's certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse the cluster's certificate authority: %w", err)
	}
	return &authority{key: key, cert: cert, certPEM: pemBlock("CERTIFICATE", der)}, nil
}

// issue returns the PEM certificate and key of a client (name, groups) or, with
// addresses, of a server.
func (a *authority) issue(name string, groups []string, addresses ...string) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate a key for %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("draw a serial number for %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(certLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, address := range addresses {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(address); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, address)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of %s: %w", name, err)
	}
	return pemBlock("CERTIFICATE", der), pemBlock("PRIVATE KEY", keyDER), nil
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// writeServing writes what the API server serves with, the authority's own
// certificate, and the key pair that signs ServiceAccount tokens.
func (a *authority) writeServing(dir string) error {
	cert, key, err := a.issue("kube-apiserver", nil, "127.0.0.1", "localhost", "10.96.0.1", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	saKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("generate the key that signs ServiceAccount tokens: %w", err)
	}
	saDER, err := x509.MarshalECPrivateKey(saKey)
	if err != nil {
		return fmt.Errorf("encode the key that signs ServiceAccount tokens: %w", err)
	}
	for name, data := range map[string][]byte{
		"ca.crt":        a.certPEM,
		"apiserver.crt": cert,
		"apiserver.key": key,
		"sa.key":        pemBlock("EC PRIVATE KEY", saDER),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write the control plane's keys: %w", err)
		}
	}
	return nil
}

// credentials is who a kubeconfig speaks for: a certificate or a token.
type credentials struct {
	user      string
	groups    []string
	token     string
	namespace string
}

func (a *authority) writeKubeconfig(path, server string, who credentials) error {
	user := &clientcmdapi.AuthInfo{Token: who.token}
	if who.token == "" {
		cert, key, err := a.issue(who.user, who.groups)
		if err != nil {
			return err
		}
		user.ClientCertificateData, user.ClientKeyData = cert, key
	}
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{ContextName: {Server: server, CertificateAuthorityData: a.certPEM}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{who.user: user},
		Contexts:       map[string]*clientcmdapi.Context{ContextName: {Cluster: ContextName, AuthInfo: who.user, Namespace: who.namespace}},
		CurrentContext: ContextName,
	}
	if err := clientcmd.WriteToFile(config, path); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", who.user, err)
	}
	return nil
}
