package webhooks_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("untouchable")
}

// Whoever cannot even claim to be a platform must not make us hold 25 MB.
func TestBodyWithoutProofIsNotRead(t *testing.T) {
	t.Parallel()
	handler := serve(t, storetest.Open(t, store.Config{}))
	for path, header := range map[string]http.Header{
		"/webhooks/github": {"X-Github-Event": {"push"}, "X-Hub-Signature": {"sha1=00"}, "X-Hub-Signature-256": {"sha256="}},
		"/webhooks/gitlab": {"X-Gitlab-Event": {"Push Hook"}},
	} {
		request := httptest.NewRequest(http.MethodPost, path, untouchable{t})
		request.Header = header
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
		}
	}
}
