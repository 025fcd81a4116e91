package httpx

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzhttp"
)

type headKey struct{}

// AnswerHead passes HEAD requests to the handlers of GET; net/http leaves out the bodies of their answers. Handlers that
// must know the difference ask Method.
func AnswerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true)) // net/http keeps the original request
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// Method is the method with which a request was sent: HEAD where handlers see GET for it.
func Method(r *http.Request) string {
	if r.Context().Value(headKey{}) != nil {
		return http.MethodHead
	}
	return r.Method
}

// DropFinalSlash removes the final slash from the path of every request that may have a body. The router would answer
// with a redirect, and platforms and most programs do not send the body again to the new address.
func DropFinalSlash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimRight(r.URL.Path, "/")
		if path == r.URL.Path || path == "" || r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		shorter := *r
		shorter.URL = new(url.URL)
		*shorter.URL = *r.URL
		shorter.URL.Path, shorter.URL.RawPath = path, strings.TrimRight(r.URL.RawPath, "/")
		next.ServeHTTP(w, &shorter)
	})
}

// AcceptBase also answers requests whose path still has the base before it, for proxies that do not take it away. A base that
// begins like one of the routes is left alone: nobody could tell the two apart.
func AcceptBase(base Base, router *gin.Engine, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(string(base), "/"), "/")
	for _, route := range router.Routes() {
		if name, _, _ := strings.Cut(strings.TrimPrefix(route.Path, "/"), "/"); name == first {
			return next
		}
	}
	stripped := http.StripPrefix(string(base), next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, string(base)+"/") {
			stripped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Protect sets the headers that keep browsers safe on every answer, also on those that no handler makes. Handlers of pages, and of answers
// that may be cached, override them. Where browsers reach Scanhook by https, they shall do so only.
func Protect(public *url.URL, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setProtection(w.Header())
		if public.Scheme == "https" {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func setProtection(header http.Header) {
	for name, value := range map[string]string{
		"Cache-Control":              "no-store",
		"Content-Security-Policy":    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy":         "camera=(), geolocation=(), microphone=()",
		"Referrer-Policy":            "same-origin",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
	} {
		header.Set(name, value)
	}
}

// minCompressed is the size in bytes of the smallest answer that is compressed.
const minCompressed = 1024

// Compress compresses pages, JSON and style sheets for clients that accept it. Event streams stay as they are, because a
// compressor would hold events back. Compression reveals no secret by the length of a page: forms of other sites are
// recognized by their origin, not by a token in the page, and cookies are not sent with what other sites embed.
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

// BreakOff lets the connection of an answer end before the answer does, where only a part of it could be made: its client then knows that
// it has no whole document, and a proxy passes that on. What was not sent yet is not sent.
func BreakOff(answer io.Writer) {
	if w, ok := answer.(http.ResponseWriter); ok {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now())
	}
}
