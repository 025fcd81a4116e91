package httpx_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

func TestClientBehindTrustedProxies(t *testing.T) {
	t.Parallel()
	trusted := []string{"10.0.0.0/8", "192.0.2.1", "fd00::/8"}
	for name, test := range map[string]struct {
		trusted   []string
		remote    string
		forwarded []string // X-Forwarded-For, a header each
		want      string
	}{
		"nobody is trusted":      {nil, "10.1.1.1:99", []string{"198.51.100.7"}, "10.1.1.1"},
		"a stranger's word":      {trusted, "203.0.113.9:99", []string{"198.51.100.7"}, "203.0.113.9"},
		"a proxy's word":         {trusted, "10.1.1.1:99", []string{"198.51.100.7"}, "198.51.100.7"},
		"proxies in a row":       {trusted, "10.1.1.1:99", []string{"198.51.100.7, 192.0.2.1,10.2.2.2"}, "198.51.100.7"},
		"what the client claims": {trusted, "10.1.1.1:99", []string{"127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		"claims to be a proxy":   {trusted, "10.1.1.1:99", []string{"10.9.9.9, 198.51.100.7, 10.2.2.2"}, "198.51.100.7"},
		"several headers":        {trusted, "10.1.1.1:99", []string{"1.1.1.1", "198.51.100.7", "10.2.2.2"}, "198.51.100.7"},
		"garbage before":         {trusted, "10.1.1.1:99", []string{"x, ' OR 1, 198.51.100.7"}, "198.51.100.7"},
		"garbage last":           {trusted, "10.1.1.1:99", []string{"198.51.100.7, unknown"}, "10.1.1.1"},
		"nothing":                {trusted, "10.1.1.1:99", nil, "10.1.1.1"},
		"an empty header":        {trusted, "10.1.1.1:99", []string{""}, "10.1.1.1"},
		"IPv6":                   {trusted, "[fd00::1]:99", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv6 stranger":          {trusted, "[2001:db8::1]:99", []string{"198.51.100.7"}, "2001:db8::1"},
		"IPv4 in IPv6":           {trusted, "[::ffff:10.1.1.1]:99", []string{"198.51.100.7"}, "198.51.100.7"},
		"a link's own address":   {trusted, "[fe80::1%eth0]:99", []string{"198.51.100.7"}, "fe80::1%eth0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router, got := httpx.NewRouter(slog.New(slog.DiscardHandler)), ""
			if test.trusted != nil {
				if err := router.SetTrustedProxies(test.trusted); err != nil {
					t.Fatal(err)
				}
			}
			router.GET("/", func(c *gin.Context) { got = httpx.Client(c) })
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			request.RemoteAddr = test.remote
			request.Header["X-Forwarded-For"] = test.forwarded
			request.Header["X-Real-Ip"] = []string{"6.6.6.6"}
			request.Header["Forwarded"] = []string{"for=6.6.6.6"}
			if router.ServeHTTP(httptest.NewRecorder(), request); got != test.want {
				t.Errorf("client %q, want %q", got, test.want)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "no address": "no address",
	} {
		if got := httpx.Network(client); got != want {
			t.Errorf("Network(%q) = %q, want %q", client, got, want)
		}
	}
}
