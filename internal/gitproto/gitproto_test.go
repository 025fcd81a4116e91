package gitproto

import (
	"bufio"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestListRefsVersion2(t *testing.T) {
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
			refs, err := New(nil, time.Now).ListRefs(t.Context(), remote)
			if err != nil {
				t.Fatal(err)
			}
			want := []core.Ref{{Name: "refs/heads/trunk", SHA: storetest.SHA(1)}, {Name: "refs/tags/v1", SHA: storetest.SHA(3)}}
			if diff := cmp.Diff(want, refs.Heads); diff != "" || refs.DefaultBranch != "trunk" {
				t.Errorf("default branch %q, heads (-want +got):\n%s", refs.DefaultBranch, diff)
			}
			if !strings.Contains(asked, "object-format=sha1\n") || !strings.Contains(asked, "ref-prefix refs/heads/\n") {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestListRefsVersion0(t *testing.T) {
	t.Parallel()
	tagged := append([]core.Ref{branch("main", 1), {Name: "refs/tags/v1", SHA: storetest.SHA(2)}},
		core.Ref{Name: "refs/tags/v1^{}", SHA: storetest.SHA(1)}, core.Ref{Name: "refs/heads/a\x1bb", SHA: storetest.SHA(3)})
	for name, test := range map[string]struct {
		refs []core.Ref
		want []core.Ref
	}{
		"an empty repository": {nil, nil},
		"an annotated tag":    {tagged, []core.Ref{branch("main", 1), {Name: "refs/tags/v1", SHA: storetest.SHA(1)}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(advertisement(test.refs))) })
			refs, err := New(nil, time.Now).ListRefs(t.Context(), remote)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, refs.Heads); diff != "" {
				t.Errorf("heads (-want +got):\n%s", diff)
			}
		})
	}
}

func TestListRefsErrors(t *testing.T) {
	t.Parallel()
	text := func(status int, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	whole := advertisement([]core.Ref{branch("main", 1)})
	for name, test := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request)
		refused bool
		says    string
	}{
		"token":          {text(401, ""), true, "token may read its code"},
		"gone":           {text(404, ""), true, "check that the project exists"},
		"down":           {text(502, "<html>"), false, "answers 502"},
		"web page":       {text(200, "<!DOCTYPE html>"), true, "does not speak git's protocol"},
		"nothing":        {text(200, ""), false, "ends early"},
		"broken off":     {text(200, whole[:len(whole)-4]), false, "ends early"},
		"within a line":  {text(200, whole[:len(whole)-9]), false, "ends early"},
		"without a list": {text(200, capabilities(true)), false, "ends early"},
		"moved":          {text(308, ""), true, "has moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refs, err := New(nil, time.Now).ListRefs(t.Context(), serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					return
				}
				test.answer(w, r)
			}))
			if err == nil || errors.Is(err, platforms.ErrRefused) != test.refused || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error = %v, want refused %t and %q", err, test.refused, test.says)
			}
			if len(refs.Heads) > 0 {
				t.Errorf("heads = %v, want none of a list that is not whole", refs.Heads)
			}
		})
	}
}

func TestListRefsIsBounded(t *testing.T) {
	t.Parallel()
	var many []core.Ref
	for n := range MaxRefs + 5 {
		many = append(many, core.Ref{Name: "refs/heads/" + storetest.SHA(n), SHA: storetest.SHA(n)})
	}
	remote := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(advertisement(many))) })
	refs, err := New(nil, time.Now).ListRefs(t.Context(), remote)
	if err != nil || len(refs.Heads) != MaxRefs || !refs.Truncated {
		t.Errorf("%d heads, more %t, %v", len(refs.Heads), refs.Truncated, err)
	}
}

// While a platform's API wants to be left alone, its git server is not asked either.
func TestListRefsKeepsToTheWaitOfTheAPI(t *testing.T) {
	t.Parallel()
	asked := 0
	remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path == "/api" {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	api := platforms.NewClient(nil)
	client := New(lender{client: api}, time.Now)
	response, err := api.Get(strings.TrimSuffix(remote.URL, "/acme/shop.git") + "/api")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if _, err := client.ListRefs(t.Context(), remote); !errors.As(err, new(*platforms.RateLimited)) || asked != 1 {
		t.Errorf("asked %d times, %v, want RateLimited without a call", asked, err)
	}
}

// A server of version 2 that redirects its second answer.
func TestMovedBetweenTwoCalls(t *testing.T) {
	t.Parallel()
	remote := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = bufio.NewReader(strings.NewReader(capabilities(true))).WriteTo(w)
			return
		}
		http.Redirect(w, r, "/acme/store.git/git-upload-pack", http.StatusMovedPermanently)
	})
	if _, err := New(nil, time.Now).ListRefs(t.Context(), remote); !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("error = %v, want a refusal", err)
	}
}
