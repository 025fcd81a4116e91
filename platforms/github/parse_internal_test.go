package github

import (
	"net/url"
	"strings"
	"testing"
)

func FuzzFormField(f *testing.F) {
	for _, form := range []string{
		"payload=%7B%22a%22%3A+1%7D", "a=1&payload=x&payload=y", "payload=", "payload", "payload=%", "payload=%4", "payload=%zz",
		"payload=%2B%26", "xpayload=1", "",
	} {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, form string) {
		got, ok := formField([]byte(form), "payload")
		want, err := url.ParseQuery(form)
		plain := strings.Count("&"+form, "&payload=") == len(want["payload"]) // no name is escaped
		if err == nil && plain && (string(got) != want.Get("payload") || ok != (want.Get("payload") != "")) {
			t.Errorf("%q: got %q, %t, want %q", form, got, ok, want.Get("payload"))
		}
	})
}
