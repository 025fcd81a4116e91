package platforms

import "net/http"

// SignatureFinder is a Platform that sees in the header alone that a call bears no proof, before its body takes memory.
type SignatureFinder interface {
	// Signed tells whether there is anything in the header that Verify could look at.
	Signed(header http.Header) bool
}
