package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	keys := []string{"listen", "public_url", "webhook_secrets", "scan_timeout", "id", "url"}
	for word, want := range map[string]string{
		"listen":         "listen",
		"lisetn":         "listen",
		"listn":          "listen",
		"LISTEN":         "listen",
		"public-url":     "public_url",
		"publicUrl":      "public_url",
		"webhookSecret":  "webhook_secrets",
		"webhook_secrts": "webhook_secrets",
		"scan-timeot":    "scan_timeout",
		"uri":            "url",
		"ids":            "id",
		"colour":         "",
		"":               "",

		strings.Repeat("listen", 100_000): "",
	} {
		if got := Nearest(word, keys); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}
