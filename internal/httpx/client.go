package httpx

import (
	"cmp"
	"net/netip"

	"github.com/gin-gonic/gin"
)

// Client is the address that a request came from; behind trusted proxies, the address that they name.
func Client(c *gin.Context) string {
	return cmp.Or(c.ClientIP(), c.RemoteIP()) // Gin returns nothing for addresses with a zone
}

// networkBits is the length of the IPv6 prefix that one subscriber has, with all addresses in it.
const networkBits = 64

// Network is what limits count a client by: its IPv4 address, or the /64 of an IPv6 one. Other text stays as it is.
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
