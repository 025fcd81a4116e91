package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
)

func keyOf(seed byte) secrets.Key { return secrets.NewKey([secrets.KeySize]byte{seed, 1, 2, 3}) }

const password = "correct-horse-battery"

// twin is another text with the mask that a secret has without a key.
func twin(secret string) string {
	want := secrets.Keyless.Mask(secret)
	for n := 0; ; n++ {
		if text := fmt.Sprint("dummy-", n); secrets.Keyless.Mask(text) == want {
			return text
		}
	}
}

func TestHashTellsSecretsApart(t *testing.T) {
	t.Parallel()
	ours, theirs := keyOf(1), keyOf(2)
	dummy := twin(password)
	if ours.Hash(password) == ours.Hash(dummy) || ours.HashLines(password) == ours.HashLines(dummy) {
		t.Errorf("want %q and %q told apart, though their masks without a key are equal", password, dummy)
	}
	if again := keyOf(1); ours.Hash(password) != again.Hash(password) || len(ours.Hash(password)) != 25 {
		t.Errorf("want one hash of 96 bits, got %s", ours.Hash(password))
	}
	if ours.Hash(password) == ours.Hash(password+" ") {
		t.Error("want each byte of a secret to count")
	}
	if got, want := ours.HashLines("a =  'x'\n\n\tb\n"), ours.HashLines("\ta='x'\nb"); got != want {
		t.Errorf("want white space not to count in lines, got %s and %s", got, want)
	}
	if ours.HashLines("ab\nc") == ours.HashLines("a\nbc") {
		t.Error("want lines to be told apart")
	}
	for what, pair := range map[string][2]string{
		"masks": {ours.Mask(password), theirs.Mask(password)}, "hashes": {ours.Hash(password), theirs.Hash(password)},
		"hashes of lines": {ours.HashLines(password), theirs.HashLines(password)}, "ids": {ours.ID(), theirs.ID()},
	} {
		if pair[0] == pair[1] || pair[0] == "" {
			t.Errorf("want two installations to have different %s, got %q", what, pair)
		}
	}
	if ours.Hash("") != "" || ours.HashLines(" \n") != "" || secrets.Keyless.Hash(password) != "" {
		t.Error("want no hash of nothing, and none without a key")
	}
}

// No two different secrets have one hash.
func TestHashesDiffer(t *testing.T) {
	t.Parallel()
	key, random, known := keyOf(1), rand.New(rand.NewPCG(1, 2)), map[string]string{}
	for range 100_000 {
		secret := fmt.Sprint(random.Uint64(), random.IntN(9))
		hash := key.Hash(secret)
		if other, taken := known[hash]; taken && other != secret {
			t.Fatalf("%q and %q have the hash %s", secret, other, hash)
		}
		known[hash] = secret
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	key := secrets.NewKey([secrets.KeySize]byte([]byte(strings.Repeat("K", secrets.KeySize))))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", key, "in", struct{ Key secrets.Key }{key})
	encoded, err := json.Marshal(map[string]any{"key": key})
	said := log.String() + string(encoded) + fmt.Sprintf("%v %+v %#v %s %q %x", key, key, key, key, key, struct{ Key secrets.Key }{key})
	if err != nil || strings.Contains(said, "KKKK") || strings.Contains(said, "75757575") || strings.Contains(said, "75 75 75") ||
		strings.Contains(said, "4b4b4b") {
		t.Errorf("the key is in %s, %v", said, err)
	}
}

func TestMaskFindingHashes(t *testing.T) {
	t.Parallel()
	key := keyOf(1)
	for name, test := range map[string]struct {
		give core.Finding
		want string // what the hash is of
	}{
		"the code":               {core.Finding{Snippet: "\tp = '" + password + "'", Message: "a 'b'", PartialFingerprint: "x"}, "p = '" + password + "'"},
		"all lines":              {core.Finding{Snippet: "KEY\n" + password + "\n)"}, "KEY\n" + password},
		"the secret alone":       {core.Finding{Secret: password, Snippet: "p = x"}, password},
		"what the message says":  {core.Finding{Message: "a password: '" + password + "'"}, password},
		"nothing but a mask":     {core.Finding{Snippet: "REDACTED"}, ""},
		"nothing but our mask":   {core.Finding{Snippet: key.Mask(password)}, ""},
		"a fingerprint is none":  {core.Finding{Message: "a password", PartialFingerprint: "0123456789"}, ""},
		"beside a mask":          {core.Finding{Snippet: "p = '" + password + "' # REDACTED-0000"}, "p = '" + password + "' # REDACTED-0000"},
		"after a mask":           {core.Finding{Snippet: "REDACTED-0000 p = '" + password + "'"}, "REDACTED-0000 p = '" + password + "'"},
		"a hash that is there":   {core.Finding{Snippet: "x", SecretHash: key.Hash(password)}, "="},
		"a secret over a border": {core.Finding{Snippet: "}"}, ""},
	} {
		f := test.give
		key.MaskFinding(&f)
		want := key.HashLines(test.want)
		if test.want == "=" {
			want = key.Hash(password)
		}
		if f.SecretHash != want || f.Secret != "" || strings.Contains(fmt.Sprint(f), password) {
			t.Errorf("%s: want %q, got %q of %+v", name, want, f.SecretHash, f)
		}
		again := f
		if key.MaskFinding(&again); again != f {
			t.Errorf("%s: again %+v, was %+v", name, again, f)
		}
	}
}
