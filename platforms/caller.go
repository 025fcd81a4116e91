package platforms

import "net/http"

// Caller is a Platform that lends its HTTP client for other calls to the same server: while the platform wants to be left
// alone, nobody shall call it.
type Caller interface {
	// HTTPClient is made by NewClient. It adds no credential.
	HTTPClient() *http.Client
}
