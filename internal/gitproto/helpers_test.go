package gitproto

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store/storetest"
)

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) platforms.Remote {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	return platforms.Remote{URL: server.URL + "/acme/shop.git", Authorization: "Basic c2VjcmV0"}
}

// capabilities are what a server of protocol version 2 begins with.
func capabilities(announce bool) string {
	text := ""
	if announce {
		text = packet("# service=git-upload-pack") + "0000"
	}
	return text + packet("version 2") + packet("agent=git/github") + packet("ls-refs=unborn") +
		packet("object-format=sha1") + "0000"
}

func advertisement(refs []core.Ref) string {
	var text strings.Builder
	text.WriteString(packet("# service=git-upload-pack") + "0000")
	if len(refs) == 0 {
		text.WriteString(packet(strings.Repeat("0", 40) + " capabilities^{}\x00agent=git/2"))
	} else {
		text.WriteString(packet(refs[0].SHA + " HEAD\x00multi_ack symref=HEAD:" + refs[0].Name + " agent=git/2"))
	}
	for _, h := range refs {
		text.WriteString(packet(h.SHA + " " + h.Name))
	}
	return text.String() + "0000"
}

func branch(name string, n int) core.Ref {
	return core.Ref{Name: "refs/heads/" + name, SHA: storetest.SHA(n)}
}

// lender is a platform whose client others may use.
type lender struct {
	platforms.Platform
	client *http.Client
}

func (l lender) HTTPClient() *http.Client { return l.client }
