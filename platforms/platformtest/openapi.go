package platformtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Server is a fake platform: it checks each call against the official description, then answers as told.
type Server struct {
	URL string

	mu    sync.Mutex
	calls []string
}

// Calls are the calls so far, as "METHOD path" with the path as it was sent.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Description is the official description of an API.
type Description struct{ router routers.Router }

// Describe reads the recorded description for an API below prefix, and skips the test where there is none.
func Describe(t testing.TB, path, prefix string) Description {
	t.Helper()
	document, err := load(Recorded(t, path))
	if err != nil {
		t.Fatal(err)
	}
	document.Servers = openapi3.Servers{{URL: prefix}}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return Description{router: router}
}

// Serve starts a fake platform that checks each call against the description.
func (d Description) Serve(t testing.TB, answer http.HandlerFunc) *Server {
	t.Helper()
	s := &Server{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.calls = append(s.calls, r.Method+" "+r.URL.EscapedPath())
		s.mu.Unlock()
		judge(t, d.router, r)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func judge(t testing.TB, router routers.Router, r *http.Request) {
	route, parameters, err := router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s is no documented call: %v", r.Method, r.URL.EscapedPath(), err)
		return
	}
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc,
			SkipSettingDefaults: true,
		},
	})
	if err != nil {
		t.Errorf("%s %s is not as documented: %v", r.Method, r.URL.EscapedPath(), err)
	}
}

// load reads OpenAPI 3, and Swagger 2.0 by way of a conversion.
func load(text []byte) (*openapi3.T, error) {
	var old openapi2.T
	if err := json.Unmarshal(text, &old); err != nil || old.Swagger != "2.0" {
		return openapi3.NewLoader().LoadFromData(text)
	}
	document, err := openapi2conv.ToV3(&old)
	if err == nil {
		separateByCommas(document)
	}
	return document, err
}

// separateByCommas says what Swagger 2.0 means by a list that says nothing else, and the conversion forgets.
func separateByCommas(document *openapi3.T) {
	for _, path := range document.Paths.Map() {
		for _, operation := range path.Operations() {
			for _, parameter := range operation.Parameters {
				if parameter.Value.In == openapi3.ParameterInQuery && parameter.Value.Schema.Value.Type.Is("array") {
					parameter.Value.Explode = openapi3.Ptr(false)
				}
			}
		}
	}
}
