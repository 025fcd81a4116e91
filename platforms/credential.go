package platforms

import (
	"context"
	"time"
)

// Credential is what a platform says of the token or the App that is configured.
type Credential struct {
	ExpiresAt time.Time // zero where it does not expire, or where the platform does not tell
}

// CredentialChecker is a Platform that can be asked what its credential is good for, before a project needs it.
type CredentialChecker interface {
	// CheckCredential asks after the credential alone, in one call or two. Errors are those of this package: Denied where it
	// is wrong, has expired or may too little. Nil says only that nothing is known against it: what it may do in a project,
	// that project tells.
	CheckCredential(ctx context.Context) (Credential, error)
}
