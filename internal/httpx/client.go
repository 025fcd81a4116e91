package httpx

import (
	"cmp"
	"net/netip"

	"github.com/gin-gonic/gin"
)

// Client is the address that a request came from; behind trusted proxies, the one that they name.
func Client(c *gin.Context) string {
	return cmp.Or(c.ClientIP(), c.RemoteIP()) // Gin has no word for addresses with a zone
}

// networkBits is how much of an IPv6 address belongs to one subscriber, who has all addresses below it.
const networkBits = 64

// Network is what limits count a client by: its IPv4 address, or the /64 of an IPv6 one. What is no address stays as it is.
func Network(client string) string {
	address, err := netip.ParseAddr(client)
	if err != nil {
		return client
	}
	if address = address.Unmap(); address.Is4() {
		return address.String()
	}
	prefix, err := address.WithZone("").Prefix(networkBits)
	if err != nil {
		return client
	}
	return prefix.String()
}
