package health

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/metrics"
)

// Observe counts requests and the bytes of their bodies. It must be the first handler.
func Observe(meter *metrics.Meter) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		body := countBody(c.Request, meter)
		defer body.done()
		c.Next()
		meter.Answered(metrics.Request{
			Method: httpx.Method(c.Request), Route: c.FullPath(), Code: c.Writer.Status(), Took: time.Since(start), Body: body.read,
			Streamed: strings.HasPrefix(c.Writer.Header().Get("Content-Type"), "text/event-stream"),
		})
	}
}

// countedBody counts the bytes that are read of a request's body.
type countedBody struct {
	io.ReadCloser
	meter   *metrics.Meter
	read    int64
	present bool
}

func countBody(request *http.Request, meter *metrics.Meter) *countedBody {
	body := &countedBody{ReadCloser: request.Body, meter: meter, present: request.Body != nil && request.Body != http.NoBody}
	if body.present {
		meter.Bodies(1)
		request.Body = body
	}
	return body
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.meter.Arriving(int64(n))
	return n, err
}

func (b *countedBody) done() {
	if b.present {
		b.meter.Bodies(-1)
		b.meter.Arriving(-b.read)
	}
}
