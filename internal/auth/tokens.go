package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
)

// Token is a secret of the configuration: programs send it with each request, and people log in with it. What they do
// bears its name.
type Token struct {
	Name    string
	Token   string
	Grant   access.Grant
	Expires time.Time // from then on it is refused; zero: never
}

// Actor is who bears the token.
func (t Token) Actor() access.Actor {
	return access.Actor{Name: t.Name, Grants: []access.Grant{t.Grant}}
}

// Check is nil while the token may be used; core.ErrDenied after its end.
func (t Token) Check(now time.Time) error {
	if t.Expires.IsZero() || now.Before(t.Expires) {
		return nil
	}
	return fmt.Errorf("%w: this token expired at %s; ask an administrator for another one", core.ErrDenied,
		t.Expires.UTC().Format(time.RFC3339))
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
