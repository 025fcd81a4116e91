package gitlab

import (
	"net/http"

	"github.com/scanhook/scanhook/platforms"
)

var _ platforms.Doorkeeper = (*Platform)(nil)

// Signed tells whether the call bears a secret token or a signature.
func (p *Platform) Signed(header http.Header) bool {
	return header.Get(tokenHeader) != "" || header.Get(signatureHeader) != ""
}
