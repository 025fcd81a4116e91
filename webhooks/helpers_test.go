package webhooks_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/ingest"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
	"github.com/scanhook/scanhook/webhooks"
)

const secret = "a secret of the tests"

var discard = slog.New(slog.DiscardHandler)

// fakeForges are the platforms that call.
var fakeForges = map[string]func(fakeforge.Config) *fakeforge.Server{"github": fakegithub.New, "gitlab": fakegitlab.New}

// senders sign what the receivers below verify.
var senders = map[string]*fakeforge.Server{
	"github": fakegithub.New(fakeforge.Config{Secret: secret}),
	"gitlab": fakegitlab.New(fakeforge.Config{Secret: secret}),
}

func newSet(t testing.TB) platforms.Set {
	t.Helper()
	hub, err := github.New(platforms.Config{Name: "github", WebhookSecrets: []string{"", secret}})
	if err != nil {
		t.Fatal(err)
	}
	lab, err := gitlab.New(platforms.Config{Name: "gitlab", WebhookSecrets: []string{secret}})
	if err != nil {
		t.Fatal(err)
	}
	off, err := github.New(platforms.Config{Name: "off", WebhookSecrets: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	return platforms.Set{"github": hub, "gitlab": lab, "off": off}
}

func serve(t testing.TB, s *store.Store) http.Handler {
	t.Helper()
	return serveSet(t, s, newSet(t), nil)
}

// serveSet receives calls and derives what follows from each as soon as it is answered.
func serveSet(t testing.TB, s *store.Store, set platforms.Set, meter *metrics.Meter) http.Handler {
	t.Helper()
	receiver := webhooks.New(webhooks.Config{Platforms: set, Store: s, Log: discard, Meter: meter})
	return deriving(t, routed(receiver), ingest.New(ingest.Config{Store: s, Platforms: set, Log: discard}))
}

// routed has a receiver's routes.
func routed(receiver *webhooks.Receiver) http.Handler {
	router := httpx.NewRouter(discard)
	receiver.Register(router)
	return router
}

// deriving derives all that is kept after each call.
func deriving(t testing.TB, receiver http.Handler, calls *ingest.Ingester) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		receiver.ServeHTTP(w, r)
		for worked := true; worked; {
			var err error
			if worked, err = calls.Once(t.Context()); err != nil && !errors.Is(err, core.ErrUnavailable) {
				t.Error(err)
			}
		}
	})
}

// replicas are two stores of one database.
func replicas(t *testing.T) (one, another *store.Store) {
	t.Helper()
	url := storetest.SQLiteURL(t)
	return storetest.OpenAt(t, url, store.Config{}), storetest.OpenAt(t, url, store.Config{})
}

// setAside are the calls that could not be derived, the newest first.
func setAside(t testing.TB, s *store.Store) []core.KeptDelivery {
	t.Helper()
	list, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{State: core.DeliveryFailed, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// answer is the answer that a platform gets.
type answer struct {
	Status   int
	Outcome  core.Outcome
	Delivery string
	Scan     string
	Reason   string
	Detail   string // of a problem document
	header   http.Header
}

func send(t testing.TB, handler http.Handler, path string, header http.Header, body []byte) answer {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	request.Header = header
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	got := answer{Status: recorder.Code, header: recorder.Header()}
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
		t.Fatalf("answer %d is no JSON: %s", recorder.Code, recorder.Body)
	}
	return got
}

func seal(t testing.TB, platform, event, body string) fakeforge.Delivery {
	t.Helper()
	delivery, err := senders[platform].Seal(event, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

const pushBody = `{"ref":"refs/heads/main","before":"` + zeros + `","after":"` + head + `","created":true,
	"head_commit":{"id":"` + head + `"},"commits":[{"id":"` + head + `","added":["a.go"]}],
	"repository":{"id":7,"full_name":"acme/shop","html_url":"https://github.com/acme/shop","default_branch":"main"}}`

const (
	zeros = "0000000000000000000000000000000000000000"
	head  = "1234567890123456789012345678901234567890"
)

// wire is a TCP connection to the database that can be interrupted and restored.
type wire struct {
	net.Listener
	target string
	mu     sync.Mutex
	cut    bool
	open   []net.Conn
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, target: target}
	t.Cleanup(func() { _ = listener.Close() })
	go w.accept()
	return w
}

func (w *wire) accept() {
	for {
		near, err := w.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		w.mu.Lock()
		if err != nil || w.cut {
			_ = near.Close()
		} else {
			w.open = append(w.open, near, far)
			go func() { _, _ = io.Copy(near, far) }()
			go func() { _, _ = io.Copy(far, near) }()
		}
		w.mu.Unlock()
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, conn := range w.open {
		_ = conn.Close()
	}
	w.open = nil
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("untouchable")
}

// fill puts text for T, a commit id for S and zeros for Z into a template, as JSON strings; "x"+T joins.
func fill(t *testing.T, template, text, sha string) string {
	t.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "\x00") && strings.ToValidUTF8(text, "") != text {
		quoted = []byte(`"` + text + `"`)
	}
	joined := strings.ReplaceAll(template, `"+T`, string(quoted[1:]))
	joined = strings.ReplaceAll(joined, "T,", string(quoted)+",")
	for _, end := range []string{"}", "]"} {
		joined = strings.ReplaceAll(joined, "T"+end, string(quoted)+end)
	}
	return strings.NewReplacer(":Z", `:"`+zeros+`"`, ":S", `:"`+sha+`"`).Replace(joined)
}
