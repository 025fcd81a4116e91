package bench

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var guesses = flag.Int("bench.guesses", 0, "wrong logins that come while an administrator logs in; 0 skips")

const (
	guessers   = 1000 // addresses that the wrong logins come from
	idleLogins = 100  // of a round

	pauseOfLogins = 20 * time.Millisecond
	adminToken    = "the-token-of-the-administrator"
)

// TestLogins prints how much longer a right login takes while many addresses try wrong tokens.
func TestLogins(t *testing.T) {
	if *guesses == 0 {
		t.Skip("make bench-logins measures it")
	}
	for _, e := range storetest.Engines {
		t.Run(e.Name, func(t *testing.T) {
			address := loginServer(t, e)
			logins(t, address, func(n int) bool { return n < idleLogins }) // warms up
			var idle, attacked []time.Duration
			for round := range *rounds {
				idle = append(idle, logins(t, address, func(n int) bool { return n < idleLogins })...)
				var over atomic.Bool
				var attack sync.WaitGroup
				attack.Go(func() {
					send(t, load{URL: address, From: round * *guesses, To: (round + 1) * *guesses, Connections: connections, Guess: true})
					over.Store(true)
				})
				attacked = append(attacked, logins(t, address, func(int) bool { return !over.Load() })...)
				attack.Wait()
			}
			t.Logf("\n%s, %d rounds of %d wrong logins from %d addresses on %d connections", e.Name, *rounds, *guesses, guessers, connections)
			for name, part := range map[string]float64{"p50": 0.5, "p95": 0.95} {
				quiet, busy := at(idle, part), at(attacked, part)
				t.Logf("  %s of a right login: idle %s, beside them %s   %.1f × (%d logins)", name, quiet.Round(time.Microsecond*10), busy.Round(time.Microsecond*10),
					float64(busy)/float64(quiet), len(attacked))
			}
		})
	}
}

func at(list []time.Duration, part float64) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[int(part*float64(len(list)-1))]
}

// loginServer has the pages, behind a proxy that says whom requests come from.
func loginServer(t *testing.T, e storetest.Engine) string {
	t.Helper()
	tokens := auth.Tokens{{Name: "admin", Token: adminToken, Grant: access.Grant{Role: access.Admin}}}
	for i := range 50 {
		tokens = append(tokens, auth.Token{Name: fmt.Sprint("ci-", i), Token: fmt.Sprint("token-of-a-pipeline-", i), Grant: access.Grant{Role: access.Uploader}})
	}
	pages, err := web.New(web.Config{Store: e.Open(t, store.Config{}), Tokens: tokens, PublicURL: "http://scanhook.example", Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pages.Stop)
	router := httpx.NewRouter(silent)
	if err := router.SetTrustedProxies([]string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	pages.Register(router)
	s := httptest.NewServer(router)
	t.Cleanup(s.Close)
	return s.URL + "/login"
}

// logins logs the administrator in again and again, and returns how long each took.
func logins(t *testing.T, address string, more func(n int) bool) (took []time.Duration) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for n := 0; more(n); n++ {
		began := time.Now()
		if code, err := try(client, address, adminToken, "192.0.2.1"); err != nil || code != http.StatusSeeOther {
			t.Fatalf("a right login: %d, %v", code, err)
		}
		took = append(took, time.Since(began))
		time.Sleep(pauseOfLogins)
	}
	return took
}

// try is a login with a token.
func try(client *http.Client, address, token, from string) (code int, err error) {
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Forwarded-For", from)
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// guess sends the wrong logins of a load, each connection the next when one is answered. Another load comes from other addresses.
func guess(l load) result {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.Connections}, Timeout: 30 * time.Second}
	var next, failed atomic.Int64
	var said atomic.Value
	began := time.Now()
	var sending sync.WaitGroup
	for range l.Connections {
		sending.Go(func() {
			for n := int(next.Add(1)); n <= l.To-l.From; n = int(next.Add(1)) {
				from := fmt.Sprintf("10.%d.%d.%d", l.From/(l.To-l.From), n%guessers/250, n%250)
				code, err := try(client, l.URL, fmt.Sprint("a-wrong-token-", n), from)
				if err != nil || code != http.StatusUnauthorized && code != http.StatusTooManyRequests {
					failed.Add(1)
					said.Store(fmt.Sprint(code, " ", err))
				}
			}
		})
	}
	sending.Wait()
	r := result{Seconds: time.Since(began).Seconds(), Failed: int(failed.Load())}
	r.Said, _ = said.Load().(string)
	return r
}
