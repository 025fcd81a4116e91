package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Server says where Scanhook listens and how people reach it.
type Server struct {
	Listen    string `yaml:"listen" jsonschema:"pattern=^[^/ ]*:[0-9]+$|^unix:/"`       // TCP address, host:port, or unix: and the path of a socket; an empty host listens everywhere
	PublicURL string `yaml:"public_url" jsonschema:"pattern=^[Hh][Tt][Tt][Pp][Ss]?://"` // http(s), no trailing slash; links in commit statuses start with it

	TrustedProxies []string `yaml:"trusted_proxies"` // addresses and CIDRs whose X-Forwarded-For is believed

	TLS TLS `yaml:"tls"` // spoken on Listen; off where a proxy speaks it

	MetricsListen string `yaml:"metrics_listen" jsonschema:"pattern=^[^/ ]*:[0-9]+$"` // where /metrics is served instead, host:port; empty: on Listen
}

// Socket is the path of the Unix socket to listen on; empty for a TCP address.
func (s Server) Socket() string {
	path, isSocket := strings.CutPrefix(s.Listen, "unix:")
	if !isSocket {
		return ""
	}
	return path
}

// TLS names the files of a certificate; both or neither.
type TLS struct {
	CertFile string `yaml:"cert_file"` // PEM, with the certificates between it and the authority's
	KeyFile  string `yaml:"key_file"`  // PEM
}

// Enabled reports whether TLS is spoken.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// IsLocal reports whether PublicURL leads nowhere but to the machine that uses it.
func (s Server) IsLocal() bool {
	parsed, err := url.Parse(s.PublicURL)
	if err != nil {
		return false
	}
	host := parsed.Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

func (v *validator) validateServer() {
	if socket := v.config.Server.Socket(); socket == "" {
		v.checkListen("server.listen", v.config.Server.Listen)
	} else if !strings.HasPrefix(socket, "/") {
		v.Errorf("server.listen", "must name the socket by its whole path, such as unix:/run/scanhook/scanhook.sock")
	}
	v.validateTLS()
	if v.config.Server.MetricsListen != "" {
		v.checkListen("server.metrics_listen", v.config.Server.MetricsListen)
	}
	v.checkURL("server.public_url", v.config.Server.PublicURL)
	v.validateProxies()
}

func (v *validator) validateTLS() {
	switch server := v.config.Server; {
	case server.TLS.CertFile == "" && server.TLS.KeyFile != "":
		v.Errorf("server.tls.cert_file", "is missing: write the path of the certificate (PEM)")
	case server.TLS.CertFile != "" && server.TLS.KeyFile == "":
		v.Errorf("server.tls.key_file", "is missing: write the path of the certificate's key (PEM)")
	case server.TLS.Enabled() && strings.HasPrefix(server.PublicURL, "http:"):
		v.Warnf("server.public_url", "starts with http://, but the server speaks TLS: write https://")
	}
}

func (v *validator) checkListen(key, address string) {
	_, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || strings.ContainsAny(address, "/ ") {
		v.Errorf(key, `must be host:port, such as ":8080" or "127.0.0.1:8080"`)
	} else if number == 0 {
		v.Warnf(key, "has port 0: another free port is taken at each start")
	}
}

// validateProxies wants addresses and networks: who is trusted can choose whose address a call seems to come from.
func (v *validator) validateProxies() {
	for i, proxy := range v.config.Server.TrustedProxies {
		path := fmt.Sprintf("server.trusted_proxies[%d]", i)
		network, err := netip.ParsePrefix(proxy)
		if address, notAddress := netip.ParseAddr(proxy); notAddress == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil || network.Addr().Is4In6():
			v.Errorf(path, "must be an address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8")
		case network.Bits() == 0:
			v.Warnf(path, "trusts everybody: every caller can choose the address that the log and the limits see")
		}
	}
}
