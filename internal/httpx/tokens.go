package httpx

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Role is what a person or the bearer of a token may do. Each includes the ones before it.
type Role string

// The roles.
const (
	Viewer  Role = "viewer"  // read, and judge findings
	Scanner Role = "scanner" // and upload reports, ask for scans
	Admin   Role = "admin"   // and delete scans, read the audit log
)

var rank = map[Role]int{Viewer: 1, Scanner: 2, Admin: 3}

// Includes tells whether the role may do what another one may.
func (r Role) Includes(needed Role) bool { return rank[r] >= rank[needed] }

// Token is a secret of the configuration: programs send it with each request, and people log in with it. What they do
// bears its name.
type Token struct {
	Name  string
	Token string
	Role  Role
}

// Tokens are all that are configured.
type Tokens []Token

// Find returns the token that a request bears. Every token is compared, by its hash, so that the time does not depend
// on what was sent.
func (t Tokens) Find(sent string) (found Token, ok bool) {
	hash := sha256.Sum256([]byte(sent))
	for _, token := range t {
		known := sha256.Sum256([]byte(token.Token))
		if token.Token != "" && subtle.ConstantTimeCompare(hash[:], known[:]) == 1 {
			found, ok = token, true
		}
	}
	return found, ok
}
