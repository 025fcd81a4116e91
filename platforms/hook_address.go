package platforms

import (
	"net/url"
	"strings"
)

// SameAddress tells whether a webhook that calls found is meant for wanted: the scheme and a final slash may differ.
func SameAddress(found, wanted string) bool {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	return errA == nil && errB == nil && a.RawQuery == "" && bareHost(a) == bareHost(b) &&
		strings.TrimRight(a.Path, "/") == strings.TrimRight(b.Path, "/")
}

// OwnAddress is wanted with the user and password that the webhook has in its address, for a proxy before us.
func OwnAddress(found, wanted string) string {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	if errA != nil || errB != nil || a.User == nil {
		return wanted
	}
	b.User = a.User
	return b.String()
}

// ShownAddress is an address for people: short, and without a password.
func ShownAddress(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return Excerpt(parsed.Redacted(), "")
}

// bareHost leaves out the port that a scheme has anyway.
func bareHost(address *url.URL) string {
	host := strings.ToLower(address.Host)
	if port := address.Port(); address.Scheme == "https" && port == "443" || address.Scheme == "http" && port == "80" {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}
