package httpx

import (
	"context"
	"net/http"
)

type headKey struct{}

// AnswerHead has the handlers of GET answer HEAD, too; net/http leaves their bodies out. Only this and Method know the
// difference.
func AnswerHead(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true)) // net/http goes on looking at its own
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// Method is the method with which a request was sent: HEAD where handlers see GET for it.
func Method(r *http.Request) string {
	if r.Context().Value(headKey{}) != nil {
		return http.MethodHead
	}
	return r.Method
}
