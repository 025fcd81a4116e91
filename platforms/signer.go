package platforms

// Signer is a Platform whose calls can be signed, in place of bearing a secret that whoever overhears one knows.
type Signer interface {
	// MaySign tells whether a signing token is configured that may speak for the project. Only then calls for it that are
	// not signed are refused, once one was.
	MaySign(project string) bool
}
