package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Secret is a text that shows itself to nobody but callers of Reveal. Printed, logged or marshalled in any way it is
// "[redacted]", and empty when it is empty.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints the redacted form for every verb; without it %d would print the secret as a wrong operand.
func (s Secret) Format(state fmt.State, verb rune) { formatText(state, verb, s.String()) }

func formatText(state fmt.State, verb rune, text string) {
	fmt.Fprintf(state, fmt.FormatString(state, verb), text)
}

// GoString is for printers of Go syntax other than fmt.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue is for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is for the JSON, YAML and XML encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func isEmpty(secret Secret) bool { return secret == "" }

func anyGiven(secrets []Secret) bool {
	return slices.ContainsFunc(secrets, func(s Secret) bool { return !isEmpty(s) })
}

// DatabaseURL is the address of a database; passwords in it show only through Reveal.
type DatabaseURL string

// Reveal returns the address with its password.
func (u DatabaseURL) Reveal() string { return string(u) }

// File is the path of an embedded database; empty for a server's.
func (u DatabaseURL) File() string {
	path, embedded := strings.CutPrefix(string(u), "sqlite:")
	if !embedded {
		return ""
	}
	return strings.TrimPrefix(path, "//")
}

// String returns the address with every password replaced by xxxxx, or "[redacted]" when it is no address.
func (u DatabaseURL) String() string {
	parsed, err := u.parse()
	if err != nil {
		return redacted
	}
	query := parsed.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if query.Has(name) {
			query.Set(name, "xxxxx")
			parsed.RawQuery = query.Encode()
		}
	}
	return parsed.Redacted()
}

// parse refuses addresses whose password may have ended up elsewhere: in postgres://u:1/w@host the host would be "u:1"
// and the rest of the password stand in the path. Errors may hold the password.
func (u DatabaseURL) parse() (*url.URL, error) {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return nil, err
	}
	if parsed.Host != "" && strings.Contains(parsed.EscapedPath()+parsed.RawQuery+parsed.EscapedFragment(), "@") {
		return nil, errors.New("an @ stands behind the host")
	}
	_, err = url.ParseQuery(parsed.RawQuery)
	return parsed, err
}

// Format prints the address without its password for every verb.
func (u DatabaseURL) Format(state fmt.State, verb rune) { formatText(state, verb, u.String()) }

// GoString is for printers of Go syntax other than fmt.
func (u DatabaseURL) GoString() string { return fmt.Sprintf("%q", u.String()) }

// LogValue is for log/slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is for the JSON, YAML and XML encoders.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
