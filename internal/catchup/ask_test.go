package catchup

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store/storetest"
)

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) platforms.Remote {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	return platforms.Remote{URL: server.URL + "/acme/shop.git", Authorization: "Basic c2VjcmV0"}
}

// capabilities are what a server of protocol version 2 begins with.
func capabilities(announce bool) string {
	text := ""
	if announce {
		text = packet("# service=git-upload-pack") + "0000"
	}
	return text + packet("version 2") + packet("agent=git/github") + packet("ls-refs=unborn") +
		packet("object-format=sha1") + "0000"
}

func TestAskVersion2(t *testing.T) {
	t.Parallel()
	for name, announce := range map[string]bool{"github": true, "gitlab": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Basic c2VjcmV0" || r.Header.Get("Git-Protocol") != "version=2" {
					t.Errorf("header = %v", r.Header)
				}
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte(capabilities(announce)))
					return
				}
				lines := packets{bufio.NewReader(r.Body)}
				for range 2 {
					_ = lines.section(func(line string) bool { asked += line + "\n"; return true })
				}
				_, _ = w.Write([]byte(packet(storetest.SHA(1)+" HEAD symref-target:refs/heads/trunk") +
					packet(storetest.SHA(1)+" refs/heads/trunk") +
					packet(storetest.SHA(2)+" refs/tags/v1 peeled:"+strings.ToUpper(storetest.SHA(3))) +
					packet(storetest.SHA(2)+" refs/pull/1/head") + packet("nonsense") + packet("") + "0000"))
			})
			taken, err := newAsker(nil, time.Now).ask(t.Context(), remote)
			if err != nil {
				t.Fatal(err)
			}
			want := []core.Head{{Ref: "refs/heads/trunk", SHA: storetest.SHA(1)}, {Ref: "refs/tags/v1", SHA: storetest.SHA(3)}}
			if diff := cmp.Diff(want, taken.heads); diff != "" || taken.defaultBranch != "trunk" {
				t.Errorf("default branch %q, heads (-want +got):\n%s", taken.defaultBranch, diff)
			}
			if !strings.Contains(asked, "object-format=sha1\n") || !strings.Contains(asked, "ref-prefix refs/heads/\n") {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestAskVersion0(t *testing.T) {
	t.Parallel()
	tagged := append([]core.Head{branch("main", 1), {Ref: "refs/tags/v1", SHA: storetest.SHA(2)}},
		core.Head{Ref: "refs/tags/v1^{}", SHA: storetest.SHA(1)}, core.Head{Ref: "refs/heads/a\x1bb", SHA: storetest.SHA(3)})
	for name, test := range map[string]struct {
		refs []core.Head
		want []core.Head
	}{
		"an empty repository": {nil, nil},
		"an annotated tag":    {tagged, []core.Head{branch("main", 1), {Ref: "refs/tags/v1", SHA: storetest.SHA(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(advertisement(test.refs))) })
			taken, err := newAsker(nil, time.Now).ask(t.Context(), remote)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, taken.heads); diff != "" {
				t.Errorf("heads (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAskErrors(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	whole := advertisement([]core.Head{branch("main", 1)})
	for name, test := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request)
		refused bool
		says    string
	}{
		"token":          {text(401, ""), true, "token may read its code"},
		"gone":           {text(404, ""), true, "check that the project exists"},
		"down":           {text(502, "<html>"), false, "answers 502"},
		"web page":       {text(200, "<!DOCTYPE html>"), true, "does not speak git's protocol"},
		"nothing":        {text(200, ""), false, "breaks off"},
		"broken off":     {text(200, whole[:len(whole)-4]), false, "breaks off"},
		"within a line":  {text(200, whole[:len(whole)-9]), false, "breaks off"},
		"without a list": {text(200, capabilities(true)), false, "breaks off"},
		"moved":          {text(308, ""), true, "has moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			taken, err := newAsker(nil, time.Now).ask(t.Context(), serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					return
				}
				test.answer(w, r)
			}))
			if err == nil || errors.Is(err, platforms.ErrRefused) != test.refused || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error = %v, want refused %t and %q", err, test.refused, test.says)
			}
			if len(taken.heads) > 0 {
				t.Errorf("heads = %v, want none of a list that is not whole", taken.heads)
			}
		})
	}
}

func TestAskIsBounded(t *testing.T) {
	t.Parallel()
	var many []core.Head
	for n := range maxRefs + 5 {
		many = append(many, core.Head{Ref: "refs/heads/" + storetest.SHA(n), SHA: storetest.SHA(n)})
	}
	remote := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(advertisement(many))) })
	taken, err := newAsker(nil, time.Now).ask(t.Context(), remote)
	if err != nil || len(taken.heads) != maxRefs || !taken.more {
		t.Errorf("%d heads, more %t, %v", len(taken.heads), taken.more, err)
	}
}

// lender is a platform whose client others may use.
type lender struct {
	platforms.Platform
	client *http.Client
}

func (l lender) HTTPClient() *http.Client { return l.client }

// While a platform's API wants to be left alone, its git server is not asked either.
func TestAskKeepsToTheWaitOfTheAPI(t *testing.T) {
	t.Parallel()
	asked := 0
	remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path == "/api" {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	api := platforms.NewClient(nil)
	asker := newAsker(lender{client: api}, time.Now)
	response, err := api.Get(strings.TrimSuffix(remote.URL, "/acme/shop.git") + "/api")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if _, err := asker.ask(t.Context(), remote); !errors.As(err, new(*platforms.RateLimited)) || asked != 1 {
		t.Errorf("asked %d times, %v, want RateLimited without a call", asked, err)
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add(advertisement([]core.Head{branch("main", 1)}), false)
	f.Add(packet(storetest.SHA(1)+" HEAD symref-target:refs/heads/a peeled:"+storetest.SHA(2))+"0000", true)
	f.Add("0003", true)
	f.Fuzz(func(t *testing.T, body string, listed bool) {
		var taken snapshot
		add := taken.addAdvertised
		if listed {
			add = taken.addListed
		}
		_ = packets{bufio.NewReader(strings.NewReader(body))}.section(add)
		for _, h := range taken.heads {
			if !core.IsCommitSHA(h.SHA) || h.Name() == "" || !storable(h.Ref) {
				t.Errorf("head %+v", h)
			}
		}
	})
}
