package platforms_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

// After a limit the client makes no call until the time that was asked for has passed, whoever asks it to.
func TestClientKeepsQuiet(t *testing.T) {
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

// lateCalls is a platform that answers /limited with a pause of a minute, and holds up other calls as a test wants it.
type lateCalls struct {
	*httptest.Server
	mu      sync.Mutex
	arrived []string
	hold    func(http.ResponseWriter, *http.Request)
}

func newLateCalls(t *testing.T, http2 bool) *lateCalls {
	t.Helper()
	p := &lateCalls{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.arrived = append(p.arrived, r.URL.Path)
		p.mu.Unlock()
		switch {
		case r.URL.Path == "/limited":
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		case p.hold != nil:
			p.hold(w, r)
		}
	}))
	p.EnableHTTP2 = http2
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *lateCalls) calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.arrived)
}

func call(client *http.Client, address string) error {
	response, err := client.Get(address)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
	return err
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

// lateTransport holds calls of /late up before they get a connection.
type lateTransport struct {
	http.RoundTripper
	waits, free chan bool
}

func (l lateTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Path == "/late" {
		l.waits <- true
		<-l.free
	}
	return l.RoundTripper.RoundTrip(request)
}
