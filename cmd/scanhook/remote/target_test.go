package remote

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokensAreRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked, broken := 0, false
		token := renewed(func(_ context.Context, audience string) (string, error) {
			if broken {
				return "", errors.New("out of order")
			}
			asked++
			return fmt.Sprintf("token %d for %s", asked, audience), nil
		}, "here")
		for _, step := range []struct {
			pass   time.Duration
			broken bool
			want   string
		}{{0, false, "token 1 for here"}, {time.Minute, true, "token 1 for here"}, {2 * time.Minute, false, "token 2 for here"}, {time.Hour, true, ""}} {
			time.Sleep(step.pass)
			broken = step.broken
			if got, err := token(t.Context()); got != step.want || (err != nil) != (step.want == "") {
				t.Errorf("after %s: %q, %v", step.pass, got, err)
			}
		}
	})
}
