package web

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// invitations are links that log somebody in once. Only scanhook demo makes any.
type invitations struct {
	mu   sync.Mutex
	open map[string]invitation // by code
}

type invitation struct {
	token Token
	back  string // where it leads, without what begins all links
}

// Invite returns the path of a link that logs in, as the holder of one of the tokens would be, whoever follows it first
// from this machine, and leads on to back.
func (w *Web) Invite(token Token, back string) string {
	code := rand.Text()
	w.invited.mu.Lock()
	defer w.invited.mu.Unlock()
	if w.invited.open == nil {
		w.invited.open = map[string]invitation{}
	}
	w.invited.open[code] = invitation{token, back}
	return w.base + "/login/once/" + code
}

func (i *invitations) take(code string) (invitation, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken, ok := i.open[code]
	delete(i.open, code)
	return taken, ok
}

// accept opens a session by an invitation, which ends with it.
func (w *Web) accept(c *gin.Context) error {
	client := net.ParseIP(c.RemoteIP())
	var taken invitation
	ok := false
	if c.Request.Method == http.MethodGet && client != nil && client.IsLoopback() {
		taken, ok = w.invited.take(c.Param("code"))
	}
	if !ok {
		return fmt.Errorf("%w: this link logs in once, and has done so or never did; log in with a token instead", core.ErrNotFound)
	}
	id := rand.Text()
	if err := w.openSession(c, id, store.Session{Key: sessionKey(taken.token, id)}, taken.token.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.local(w.base+taken.back))
	return nil
}

// Knows tells whether a request comes from a browser that is logged in here, or may read without.
func (w *Web) Knows(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName)
	if w.Public || err != nil || len(cookie.Value) != len(rand.Text()) {
		return w.Public
	}
	who, err := w.find(r.Context(), cookie.Value)
	return err == nil && who.Known()
}
