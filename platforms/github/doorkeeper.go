package github

import (
	"net/http"

	"github.com/scanhook/scanhook/platforms"
)

var _ platforms.Doorkeeper = (*Platform)(nil)

// Signed tells whether the call bears a signature of the kind that proves something.
func (p *Platform) Signed(header http.Header) bool {
	return len(header.Get(signatureHeader)) > len(signaturePrefix)
}
