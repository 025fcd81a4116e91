package ci

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/scanhook/scanhook/core"
)

// ErrNoKeys tells that an issuer is out of reach and that its keys are not known. It is core.ErrUnavailable, and the text is for everybody.
var ErrNoKeys = fmt.Errorf("%w: the token cannot be verified now", core.ErrUnavailable)

// algorithms are those by which the platforms sign. With one that has a shared key, the public key of an issuer would sign.
var algorithms = []jose.SignatureAlgorithm{jose.RS256}

const (
	freshFor  = time.Hour        // after which an issuer is asked whether it has withdrawn keys
	keptFor   = 24 * time.Hour   // for which keys are believed while an issuer is out of reach
	askEvery  = 10 * time.Second // forged tokens name keys that do not exist, and each would have the issuer asked
	failPause = 30 * time.Second
	askLimit  = 15 * time.Second

	maxKeySet = 1 << 20 // bytes
	leastRSA  = 256     // bytes of a key: 2048 bits
)

// keys are the public keys of an issuer. They are asked for when a token needs them, so that Scanhook starts while the issuer is out of reach.
type keys struct {
	issuer string
	client *http.Client
	now    func() time.Time
	log    *slog.Logger

	asking sync.Mutex // one asks at a time; before mu

	mu      sync.Mutex
	known   map[string]*rsa.PublicKey // by their ids
	asOf    time.Time                 // when the issuer last answered
	askFrom time.Time                 // before which it is not asked
	failure error                     // of the last time
}

// verify returns the payload of a token that the issuer has signed.
func (k *keys) verify(ctx context.Context, sent string) ([]byte, error) {
	signed, err := jose.ParseSigned(sent, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, fmt.Errorf("%w: the token has not one signature by %s", core.ErrDenied, algorithms[0])
	}
	key, err := k.find(ctx, signed.Signatures[0].Header.KeyID)
	if err != nil {
		return nil, err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, fmt.Errorf("%w: the signature of the token is not that of %s", core.ErrDenied, k.issuer)
	}
	return payload, nil
}

// find returns the key that has an id.
func (k *keys) find(ctx context.Context, id string) (*rsa.PublicKey, error) {
	key, age := k.look(id)
	switch {
	case key != nil && age < freshFor:
		return key, nil
	case key != nil && age < keptFor:
		if k.asking.TryLock() { // nobody waits for an answer that will hardly be another
			go func() {
				defer k.asking.Unlock()
				k.ask(context.WithoutCancel(ctx))
			}()
		}
		return key, nil
	}
	k.asking.Lock()
	k.ask(context.WithoutCancel(ctx))
	k.asking.Unlock()
	key, age = k.look(id)
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case key != nil && age < keptFor:
		return key, nil
	case k.failure != nil:
		return nil, k.failure
	}
	return nil, fmt.Errorf("%w: the token is signed with a key that %s does not have", core.ErrDenied, k.issuer)
}

func (k *keys) look(id string) (key *rsa.PublicKey, age time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[id], k.now().Sub(k.asOf)
}

// ask asks the issuer for its keys, unless it was asked a moment ago. Without an answer, those that are known stay.
func (k *keys) ask(ctx context.Context) {
	k.mu.Lock()
	wait := k.now().Before(k.askFrom)
	k.mu.Unlock()
	if wait {
		return
	}
	found, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.failure = fmt.Errorf("%w: %s does not answer, or not as it should; try again later, Scanhook's log has the reason", ErrNoKeys, k.issuer)
		k.askFrom = k.now().Add(failPause)
		k.log.WarnContext(ctx, "the keys by which CI jobs' tokens are verified cannot be had; known ones stay good for a day",
			"issuer", k.issuer, "error", shown(err.Error()))
		return
	}
	k.known, k.asOf, k.failure, k.askFrom = found, k.now(), nil, k.now().Add(askEvery)
}

func (k *keys) fetch(ctx context.Context) (map[string]*rsa.PublicKey, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, k.client), askLimit)
	defer cancel()
	provider, err := oidc.NewProvider(ctx, k.issuer)
	if err != nil {
		return nil, err
	}
	var described struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&described); err != nil {
		return nil, err
	}
	if strings.HasPrefix(k.issuer, "https:") && !strings.HasPrefix(described.Keys, "https:") {
		return nil, errors.New("its keys are at an address that is not encrypted")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, described.Keys, nil)
	if err != nil {
		return nil, err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", response.Status)
	}
	return readKeys(io.LimitReader(response.Body, maxKeySet))
}

// readKeys reads the keys that can verify: RSA keys of a sound length, for signatures.
func readKeys(document io.Reader) (map[string]*rsa.PublicKey, error) {
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(document).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	found := map[string]*rsa.PublicKey{}
	for _, one := range set.Keys {
		key, isRSA := one.Key.(*rsa.PublicKey)
		if isRSA && one.KeyID != "" && key.Size() >= leastRSA && (one.Use == "" || one.Use == "sig") {
			found[one.KeyID] = key
		}
	}
	if len(found) == 0 {
		return nil, errors.New("it has no RSA keys")
	}
	return found, nil
}
