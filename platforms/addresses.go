package platforms

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// ParseBase reads a configured address: http(s), a host, perhaps a sub-path, and nothing else. The error repeats the
// address only where it cannot contain a password.
func ParseBase(address string) (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, fmt.Errorf("%w: the address cannot be read: write it as https://host/path", core.ErrInvalid)
	}
	if base.User != nil {
		return nil, fmt.Errorf("%w: the address contains a user or password: configure a token instead", core.ErrInvalid)
	}
	if !isWeb(base) || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("%w: the address %q is not of the form https://host/path", core.ErrInvalid, address)
	}
	return base, nil
}

// WebAddress is the address for people that a payload states, or fallback where it is not a plain http(s) address.
func WebAddress(stated Text, fallback string) string {
	address, err := url.Parse(string(stated))
	if err != nil || !isWeb(address) || address.User != nil {
		return fallback
	}
	return string(stated)
}

func isWeb(address *url.URL) bool {
	return (address.Scheme == "http" || address.Scheme == "https") && address.Host != ""
}

// SameAddress tells whether two addresses of a webhook mean the same: the scheme and a final slash may differ.
func SameAddress(found, wanted string) bool {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	return errA == nil && errB == nil && a.RawQuery == "" && bareHost(a) == bareHost(b) &&
		strings.TrimRight(a.Path, "/") == strings.TrimRight(b.Path, "/")
}

// OwnAddress is wanted with the user and password of the webhook's present address, which a proxy may need.
func OwnAddress(found, wanted string) string {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	if errA != nil || errB != nil || a.User == nil {
		return wanted
	}
	b.User = a.User
	return b.String()
}

// ShownAddress is an address to show: short, and without a password.
func ShownAddress(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return Excerpt(parsed.Redacted(), "")
}

// bareHost leaves out the default port of the scheme.
func bareHost(address *url.URL) string {
	host := strings.ToLower(address.Host)
	if port := address.Port(); address.Scheme == "https" && port == "443" || address.Scheme == "http" && port == "80" {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}

// EscapePath makes the segments of a path safe to stand in an address.
func EscapePath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	return strings.Join(segments, "/")
}
