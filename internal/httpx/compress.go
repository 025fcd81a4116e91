package httpx

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// minCompressed is from how many bytes on an answer is worth compressing.
const minCompressed = 1024

// Compress sends pages, JSON and style sheets compressed to those who can read that. Event streams stay as they are, for
// nothing of them may wait. No page holds a secret that its length could give away: forms of other sites are told by
// where they come from, not by a token, and cookies are not sent with what other sites embed.
func Compress(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.ContentTypeFilter(isText))
	if err != nil {
		return nil, fmt.Errorf("preparing compression: %w", err)
	}
	return wrap(next), nil
}

func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "text/html" || kind == "text/css" || kind == "text/javascript" || kind == "image/svg+xml" ||
		kind == "application/json" || strings.HasSuffix(kind, "+json"))
}
