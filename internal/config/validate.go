package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// validator finds what is well formed but makes no sense. Its messages name keys, scanners and what may be written
// instead, and never a value: one that came from the wrong variable may be a secret.
type validator struct {
	*report
	config *Config
}

func (v *validator) validate() {
	v.validateServer()
	v.validateDatabase()
	v.validatePlatforms()
	v.validateTokens()
	v.validateOIDC()
	v.validateScanners()
	v.validateEPSS()
	v.validateAI()
	v.validateRetention()
	v.validateRunner()
	v.validatePolicy("defaults", v.config.Defaults)
	v.validateRepositories()
}

func (v *validator) validateServer() {
	v.checkListen("server.listen", v.config.Server.Listen)
	if v.config.Server.MetricsListen != "" {
		v.checkListen("server.metrics_listen", v.config.Server.MetricsListen)
	}
	v.checkURL("server.public_url", v.config.Server.PublicURL)
	v.validateProxies()
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
			v.errorf(path, "must be an address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8")
		case network.Bits() == 0:
			v.warnf(path, "trusts everybody: whoever calls can choose the address that the log and the limits see")
		}
	}
}

func (v *validator) checkListen(key, address string) {
	_, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || strings.ContainsAny(address, "/ ") {
		v.errorf(key, `must be host:port, such as ":8080" or "127.0.0.1:8080"`)
	} else if number == 0 {
		v.warnf(key, "has port 0: another free port is taken at each start")
	}
}

func (v *validator) validateDatabase() {
	const path = "database.url"
	address := v.config.Database.URL.Reveal()
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		if strings.Trim(rest, "/") == "" {
			v.errorf(path, "names no file: write sqlite:scanhook.db")
		}
	case "postgres", "postgresql":
		if _, err := v.config.Database.URL.parse(); err != nil || !strings.HasPrefix(rest, "//") {
			v.errorf(path, "must look like postgres://user:password@host/database; in the password write %%40 for @, "+
				"%%2F for / and the like (percent-encoding)")
		}
	default:
		v.errorf(path, "must start with sqlite: or postgres://")
	}
}

// maxPaths is what git can hold in some dozens of GiB of memory.
const maxPaths = 100_000_000

func (v *validator) validateRunner() {
	if n := v.config.Runner.MaxPaths; n < 1 || n > maxPaths {
		v.errorf("runner.max_paths", "must be between 1 and %d", maxPaths)
	}
}

// checkURL wants the address of a web page or API below which paths can be built.
func (v *validator) checkURL(path, address string) {
	parsed, err := url.Parse(address)
	switch {
	case err != nil || parsed.Hostname() == "" || parsed.Scheme != "http" && parsed.Scheme != "https":
		v.errorf(path, "must be an address that starts with https:// or http:// and a host")
	case parsed.User != nil:
		v.errorf(path, "must not hold a user name or password")
	case strings.ContainsAny(address, "?#"):
		v.errorf(path, "must end with its path, without ? and #")
	}
}

// checkChoice wants one word out of a few.
func (v *validator) checkChoice(path, word string, choices ...string) {
	last := len(choices) - 1
	list := choices[last]
	if last > 0 {
		list = strings.Join(choices[:last], ", ") + " or " + list
	}
	switch {
	case word == "":
		v.errorf(path, "is missing: write %s", list)
	case !slices.Contains(choices, word):
		v.errorf(path, "must be %s%s", list, Suggestion(word, choices))
	}
}

var pathSegment = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// checkName wants a name that can stand in an address as it is.
func (v *validator) checkName(path, name string) {
	if !pathSegment.MatchString(name) {
		v.errorf(path, "has a name that cannot be part of an address: use lower-case letters, digits, - and _")
	}
}
