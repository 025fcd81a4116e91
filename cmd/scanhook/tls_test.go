package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/config"
)

// writeCertificate makes a certificate of its own authority for 127.0.0.1, and trusts it.
func writeCertificate(t *testing.T, files config.TLS, serial int64, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "scan.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{files.CertFile: {Type: "CERTIFICATE", Bytes: der}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

func filesOf(t *testing.T) config.TLS {
	t.Helper()
	dir := t.TempDir()
	return config.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
}

// A whole Scanhook behind TLS: a new certificate is served without a restart, and no other protocol.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	files, roots := filesOf(t), x509.NewCertPool()
	writeCertificate(t, files, 1, roots)
	w, _ := setup(t, sandboxConfig{kind: "github"})
	app, err := newApp(t.Context(), w.config, w.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.close() })
	keeper := &certificate{files: files, log: w.log}
	if err := keeper.read(); err != nil {
		t.Fatal(err)
	}
	app.tls = keeper.config()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- app.serve(ctx, listener, w.log) }()
	address := listener.Addr().String()

	serial := func() int64 {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		response, err := client.Get("https://" + address + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); string(text) != "ok\n" || response.ProtoMajor != 1 {
			t.Errorf("answer %q over %s", text, response.Proto)
		}
		return response.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	writeCertificate(t, files, 2, roots)
	if got := serial(); got != 2 {
		t.Errorf("after it was replaced: certificate %d", got)
	}
	if err := os.WriteFile(files.KeyFile, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("with a broken key on disk: certificate %d", got)
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	plain, err := http.Get("http://" + address + "/healthz")
	if err != nil || plain.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %v %v", plain, err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestCheckTellsOfTheCertificate(t *testing.T) {
	t.Parallel()
	files := filesOf(t)
	check := func(public string) outcome {
		text := fmt.Sprintf("server: {public_url: %q, tls: {cert_file: %q, key_file: %q}}\n", public, files.CertFile, files.KeyFile)
		return command(t, "check", "--config", writeFile(t, text))
	}
	check("https://127.0.0.1").expect(t, exitFailed, "fail  certificate: open ", "correct server.tls")
	writeCertificate(t, files, 1, x509.NewCertPool())
	check("https://127.0.0.1").expect(t, 0, "warn  certificate: until ", "renew it")
	check("https://scan.example.com").expect(t, exitFailed, "fail  certificate: ", "take one for the host of server.public_url")
}

func TestNewTLSNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	if none, err := newTLS(config.TLS{}, slog.New(slog.DiscardHandler)); none != nil || err != nil {
		t.Error(none, err)
	}
	if _, err := newTLS(filesOf(t), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "correct server.tls") {
		t.Error(err)
	}
}

// Behind a socket, the proxy at its other end is trusted, and a file that a killed process left is no obstacle.
func TestServeOnASocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = left.Close()

	var log bytes.Buffer
	w, _ := setup(t, sandboxConfig{kind: "github"})
	w.config.Server.Listen, w.config.Server.TrustedProxies = "unix:"+path, []string{"127.0.0.1"}
	app, err := newApp(t.Context(), w.config, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.close() })
	listener, err := listen(w.config.Server)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(w.config.Server); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server at the socket: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- app.serve(ctx, listener, w.log) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://scanhook/api/v1/scans", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "198.51.100.7")
	response, err := client.Do(request)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v %v", response, err)
	}
	_ = response.Body.Close()
	client.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "198.51.100.7") {
		t.Errorf("the client's address is not in the log:\n%s", log.String())
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left behind")
	}
}
