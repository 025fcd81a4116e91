package config

import (
	"fmt"
	"log/slog"
	"slices"
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

func formatText(state fmt.State, verb rune, text string) {
	fmt.Fprintf(state, fmt.FormatString(state, verb), text)
}
