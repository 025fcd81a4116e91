package httpx

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// Base is the path below which browsers reach Scanhook, without a final slash. It is empty unless public_url has one.
type Base string

// BaseOf is the path of public_url.
func BaseOf(public *url.URL) Base { return Base(strings.TrimRight(public.EscapedPath(), "/")) }

// Path is a path of Scanhook as browsers know it.
func (b Base) Path(path string) string { return string(b) + path }

// Here is the address of a request as the browser knows it, without the host.
func (b Base) Here(c *gin.Context) string { return b.Path(c.Request.URL.RequestURI()) }

// Local returns an address if it is a path of this site, and that of the first page otherwise. Links that come with a
// request must not lead to other sites.
func (b Base) Local(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host != "" || parsed.Scheme != "" || strings.ContainsAny(address, "\\\r\n\t") ||
		strings.HasPrefix(address, "//") || !strings.HasPrefix(address, b.Path("/")) {
		return b.Path("/")
	}
	return address
}

// CheckAddress is core.ErrInvalid for a path or query that no database can store, or that cannot be read.
func CheckAddress(address *url.URL) error {
	if err := core.CheckText("the path", address.Path); err != nil {
		return err
	}
	query, err := url.ParseQuery(address.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: the query cannot be read: %w", core.ErrInvalid, err)
	}
	return CheckValues(query)
}

// CheckValues is CheckAddress for the fields of a query or form.
func CheckValues(fields url.Values) error {
	for name, values := range fields {
		for _, text := range append(values, name) {
			if err := core.CheckText(fmt.Sprintf("the field %.40q", name), text); err != nil {
				return err
			}
		}
	}
	return nil
}
