package platforms_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

// After a limit the client makes no call until the time that the platform asked for has passed.
func TestClientWaits(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	client := platforms.NewClient(nil)
	get := func() (int, error) {
		response, err := client.Get(server.URL)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		return response.StatusCode, nil
	}
	began := time.Now()
	if status, err := get(); err != nil || status != http.StatusTooManyRequests {
		t.Fatalf("first call: %d, %v", status, err)
	}
	limited := new(platforms.RateLimited)
	for {
		status, err := get()
		if err == nil {
			if took := time.Since(began); status != http.StatusOK || took < time.Second {
				t.Errorf("got %d after %s, want 200 after a second", status, took)
			}
			break
		}
		if !errors.As(err, &limited) || limited.After <= 0 || limited.After > time.Second {
			t.Fatalf("within the pause: %v, want RateLimited with what is left of a second", err)
		}
		time.Sleep(limited.After)
	}
	if calls != 2 {
		t.Errorf("%d calls were made, want 2", calls)
	}
}

// net/http sends a GET again, without telling, whose connection breaks before the answer comes. By then the platform may
// have asked for a pause.
func TestClientRepeatsNoCallInAPause(t *testing.T) {
	t.Parallel()
	platform := newLateCalls(t, false)
	held, free := make(chan bool, 9), make(chan bool)
	platform.hold = func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/merge-base" {
			held <- true
			<-free
			panic(http.ErrAbortHandler)
		}
	}
	client := platforms.NewClient(platform.Client())
	if err := call(client, platform.URL+"/warm"); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error)
	go func() { asked <- call(client, platform.URL+"/merge-base") }() // on a connection that was used before
	<-held
	if err := call(client, platform.URL+"/limited"); err != nil {
		t.Fatal(err)
	}
	close(free)
	limited := new(platforms.RateLimited)
	if err := <-asked; !errors.As(err, &limited) || limited.After > time.Minute || limited.After < 50*time.Second {
		t.Errorf("got %v, want RateLimited with what is left of the pause", err)
	}
	if got, want := platform.calls(), []string{"/warm", "/merge-base", "/limited"}; !slices.Equal(got, want) {
		t.Errorf("the platform was called for %v, want %v", got, want)
	}
}

// A call that is on its way to a connection has not been made when another one is told to wait.
func TestClientMakesNoLateCallInAPause(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		platform := newLateCalls(t, http2)
		late := lateTransport{platform.Client().Transport, make(chan bool), make(chan bool)}
		client := platforms.NewClient(&http.Client{Transport: late})
		asked := make(chan error)
		go func() { asked <- call(client, platform.URL+"/late") }()
		<-late.waits
		if err := call(client, platform.URL+"/limited"); err != nil {
			t.Fatal(err)
		}
		close(late.free)
		if err := <-asked; !errors.As(err, new(*platforms.RateLimited)) {
			t.Errorf("HTTP/2 %t: got %v, want RateLimited", http2, err)
		}
		if got, want := platform.calls(), []string{"/limited"}; !slices.Equal(got, want) {
			t.Errorf("HTTP/2 %t: the platform was called for %v, want %v", http2, got, want)
		}
	}
}

// Calls that nobody waits for leave half of the allowance to the others.
func TestCallsOfLowPriorityAreLeftOutWhenCallsAreScarce(t *testing.T) {
	t.Parallel()
	remaining := 60
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "100")
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10))
	}))
	defer server.Close()
	client := platforms.NewClient(nil)
	get := func(idle bool) error {
		ctx := t.Context()
		if idle {
			ctx = platforms.LowPriority(ctx)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := errors.Join(get(false), get(true)); err != nil {
		t.Fatalf("with enough left: %v", err)
	}
	remaining = 49
	if err := get(false); err != nil {
		t.Fatal(err)
	}
	limited := new(platforms.RateLimited)
	if err := get(true); !errors.As(err, &limited) || limited.After > time.Minute {
		t.Errorf("an idle call with little left: %v", err)
	}
	if err := get(false); err != nil {
		t.Errorf("another call with little left: %v", err)
	}
}

// GitHub's secondary limits come without a time now and then: nothing is asked for a minute all the same.
func TestClientWaitsAfterALimitWithoutATime(t *testing.T) {
	t.Parallel()
	client := platforms.NewClient(&http.Client{Transport: answering{`{"message":"You have exceeded a secondary rate limit."}`}})
	response, err := client.Get("http://platform.example/")
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Fatal(err)
	}
	response.Body.Close()
	if _, err := client.Get("http://platform.example/"); err == nil || !strings.Contains(err.Error(), "told to wait") { //nolint:bodyclose // none
		t.Errorf("got %v, want no second call", err)
	}
}

func TestLimited(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	github := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366430"}
	late := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772373620", "Date": "Sun, 01 Mar 2026 14:00:00 GMT"}
	gitlab := map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "1772366430"}
	tests := map[string]struct {
		code   int
		header map[string]string
		want   time.Duration // 0 is no limit
	}{
		"seconds":               {429, map[string]string{"Retry-After": "7"}, 7 * time.Second},
		"seconds before reset":  {403, map[string]string{"Retry-After": "7", "X-RateLimit-Remaining": "0"}, 7 * time.Second},
		"date":                  {429, map[string]string{"Retry-After": "Sun, 01 Mar 2026 12:00:09 GMT"}, 9 * time.Second},
		"date gone by":          {429, map[string]string{"Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT"}, time.Second},
		"nonsense":              {429, map[string]string{"Retry-After": "-5"}, time.Minute},
		"github":                {403, github, 30 * time.Second},
		"gitlab":                {429, gitlab, 30 * time.Second},
		"our clock is late":     {403, late, 20 * time.Second},
		"reset is not told":     {403, map[string]string{"X-RateLimit-Remaining": "0"}, time.Minute},
		"a century":             {429, map[string]string{"Retry-After": "2000000000"}, time.Hour},
		"refusal with reserves": {403, map[string]string{"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1772366430"}, 0},
		"success with none":     {200, github, 0},
		"server error":          {503, map[string]string{"Retry-After": "7"}, 0},
	}
	for name, test := range tests {
		header := make(http.Header)
		for key, value := range test.header {
			header.Set(key, value)
		}
		wait, limited := platforms.Limited(&http.Response{StatusCode: test.code, Header: header}, now)
		if limited != (test.want > 0) || limited && wait != test.want {
			t.Errorf("%s: want %s, got %s, %t", name, test.want, wait, limited)
		}
	}
}

func TestAllowanceOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header map[string]string
		want   platforms.Allowance
		told   bool
	}{
		"GitHub":           {map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Resource": "core"}, platforms.Allowance{Limit: 5000, Left: 4999}, true},
		"Gitea":            {map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4998"}, platforms.Allowance{Limit: 5000, Left: 4998}, true},
		"GitLab":           {map[string]string{"RateLimit-Limit": "2000", "RateLimit-Remaining": "0"}, platforms.Allowance{Limit: 2000}, true},
		"another resource": {map[string]string{"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "29", "X-RateLimit-Resource": "search"}, platforms.Allowance{}, false},
		"no numbers":       {map[string]string{"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "few"}, platforms.Allowance{}, false},
		"nothing":          {nil, platforms.Allowance{}, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for key, value := range test.header {
				w.Header().Set(key, value)
			}
		}))
		var seen []platforms.Allowance
		client := http.Client{Transport: platforms.WatchLimits(http.DefaultTransport, func(a platforms.Allowance) { seen = append(seen, a) })}
		response, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		server.Close()
		if test.told != (len(seen) == 1) || test.told && seen[0] != test.want {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

// What is counted apart, or told of by nobody, makes other calls neither scarce nor plenty.
func TestScarcityIsThatOfCoreCalls(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for key, values := range header {
			w.Header()[key] = values
		}
	}))
	defer server.Close()
	client := platforms.NewClient(nil)
	try := func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		return err
	}
	for _, step := range []struct {
		limit, left, resource string
		scarce                bool
	}{{"30", "1", "search", false}, {"5000", "4000", "core", false}, {"5000", "100", "core", true}, {"", "", "", true}, {"30", "29", "search", true}} {
		header = http.Header{}
		if step.limit != "" {
			header.Set("X-RateLimit-Limit", step.limit)
			header.Set("X-RateLimit-Remaining", step.left)
			header.Set("X-RateLimit-Resource", step.resource)
		}
		if err := try(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := try(platforms.LowPriority(t.Context())); (err != nil) != step.scarce {
			t.Errorf("after %+v: %v", step, err)
		}
	}
}
