package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/auth"
)

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	end := time.Date(2027, time.July, 1, 0, 0, 0, 0, time.UTC)
	tokens := auth.Tokens{{Name: "none"}, {Name: "ends", Token: "a-token", Expires: end}, {Name: "stays", Token: "another"}}
	if _, ok := tokens.Find(""); ok {
		t.Error("an empty token was found")
	}
	ends, _ := tokens.Find("a-token")
	stays, ok := tokens.Find("another")
	if ends.Name != "ends" || stays.Name != "stays" || !ok {
		t.Errorf("found %q and %q", ends.Name, stays.Name)
	}
	if err := ends.Check(end.Add(-time.Nanosecond)); err != nil {
		t.Error(err)
	}
	if err := ends.Check(end); !errors.Is(err, core.ErrDenied) {
		t.Errorf("at its end: %v", err)
	}
	if err := stays.Check(end.AddDate(100, 0, 0)); err != nil {
		t.Error(err)
	}
}
