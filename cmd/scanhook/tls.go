package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/config"
)

// lookAtCertificate is how often the files of the certificate are looked at, at most.
const lookAtCertificate = 10 * time.Second

// certificate is what TLS is served with. Whoever renews it replaces the files.
type certificate struct {
	files config.TLS
	every time.Duration
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	state   string // of the files when they were last read
	looked  time.Time
}

// newTLS is nil where the server speaks no TLS. Errors say which file is wrong.
func newTLS(files config.TLS, log *slog.Logger) (*tls.Config, error) {
	if !files.Enabled() {
		return nil, nil
	}
	c := &certificate{files: files, every: lookAtCertificate, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("reading the certificate: %w; correct server.tls, whose files must fit together", err)
	}
	return c.config(), nil
}

// config allows one request at a time on a connection: the server bounds connections, and how slowly each may send.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
}

// get returns the certificate, read again where its files have changed. While they cannot be read, or do not fit together
// because only one of them was replaced yet, the old one stays.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= c.every {
		c.looked = now
		if before := c.state; c.stateOfFiles() != before {
			if err := c.read(); err != nil {
				c.log.Error("the new certificate cannot be used, the old one stays", "error", err)
			} else {
				c.log.Info("the certificate was replaced", "until", c.current.Leaf.NotAfter)
			}
		}
	}
	return c.current
}

func (c *certificate) read() error {
	state := c.stateOfFiles()
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return err
	}
	c.current, c.state = &pair, state
	return nil
}

// stateOfFiles changes when one of the files does.
func (c *certificate) stateOfFiles() (state string) {
	for _, file := range []string{c.files.CertFile, c.files.KeyFile} {
		info, err := os.Stat(file) // of what a link leads to, such as a mounted secret
		if err != nil {
			return err.Error()
		}
		state += fmt.Sprint(info.Size(), info.ModTime(), " ")
	}
	return state
}
