// Package citest stands in for the issuers of CI jobs' tokens, GitHub Actions and GitLab: it publishes keys and signs real tokens.
package citest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Claims are those of a token. A nil value leaves a claim out.
type Claims map[string]any

// With is a copy with some of them changed.
func (c Claims) With(changed Claims) Claims {
	all := maps.Clone(c)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// Issuer signs tokens. Its URL is its name.
type Issuer struct {
	URL string

	mu      sync.Mutex
	signing jose.JSONWebKey
	public  []jose.JSONWebKey
	down    bool
	asked   int
	made    int
}

// NewIssuer starts an issuer on the loopback interface, until the test ends.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", i.serve(func() any {
		return map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
		}
	}))
	mux.HandleFunc("/keys", i.serve(func() any { return jose.JSONWebKeySet{Keys: i.public} }))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.Rotate(t)
	return i
}

func (i *Issuer) serve(document func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked++
		if i.down {
			http.Error(w, "out of order", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(document())
	}
}

// Rotate signs with a new key from now on. The keys before are withdrawn.
func (i *Issuer) Rotate(t testing.TB) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made++
	i.signing = NewKey(t, fmt.Sprintf("key-%d", i.made))
	i.public = []jose.JSONWebKey{i.signing.Public()}
}

// SetDown says whether it answers no more.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Asked is how often it was called.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Key is the one that signs.
func (i *Issuer) Key() jose.JSONWebKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signing
}

// Sign makes a token of claims, with an id of its own unless they have one.
func (i *Issuer) Sign(t testing.TB, claims Claims) string {
	t.Helper()
	i.mu.Lock()
	i.made++
	id := fmt.Sprintf("token-%d", i.made)
	i.mu.Unlock()
	return SignWith(t, jose.RS256, i.Key(), Claims{"jti": id}.With(claims))
}

// NewKey makes a key pair.
func NewKey(t testing.TB, id string) jose.JSONWebKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(jose.RS256), Use: "sig"}
}

// SignWith makes a token with any algorithm and key.
func SignWith(t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any(claims)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// GitHub are the claims of a job of GitHub Actions after a push.
func (i *Issuer) GitHub(audience, repository, id, sha string) Claims {
	return i.life(audience).With(Claims{
		"sub": "repo:" + repository + ":ref:refs/heads/main", "repository": repository, "repository_id": id, "repository_owner_id": "9",
		"ref": "refs/heads/main", "ref_type": "branch", "sha": sha, "event_name": "push", "actor": "ada", "actor_id": "7", "run_id": "4711",
		"run_attempt": "1", "workflow_ref": repository + "/.github/workflows/ci.yml@refs/heads/main", "runner_environment": "github-hosted",
	})
}

// GitLab are the claims of a job of GitLab CI after a push.
func (i *Issuer) GitLab(audience, project, id, sha string) Claims {
	return i.life(audience).With(Claims{
		"sub": "project_path:" + project + ":ref_type:branch:ref:main", "project_path": project, "project_id": id, "namespace_id": "9",
		"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true", "sha": sha, "pipeline_source": "push",
		"pipeline_id": "4711", "job_id": "1", "user_login": "ada", "user_id": "7", "runner_id": 3,
		"job_project_id": id, "job_project_path": project,
	})
}

func (i *Issuer) life(audience string) Claims {
	now := time.Now()
	return Claims{
		"iss": i.URL, "aud": audience, "iat": now.Unix(), "nbf": now.Add(-10 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
}
