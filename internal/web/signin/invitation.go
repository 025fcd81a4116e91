package signin

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/auth"
)

// invitations are links that log in once. Only scanhook demo makes them.
type invitations struct {
	mu   sync.Mutex
	open map[string]invitation // by code
}

type invitation struct {
	token auth.Token
	back  string // where it leads, below the base
}

// Invite returns the path of a link. Who follows it first from this machine is logged in like the holder of the token,
// and is redirected to back.
func (s *Sessions) Invite(token auth.Token, back string) string {
	code := rand.Text()
	s.invitations.mu.Lock()
	defer s.invitations.mu.Unlock()
	if s.invitations.open == nil {
		s.invitations.open = map[string]invitation{}
	}
	s.invitations.open[code] = invitation{token, back}
	return s.base.Path("/login/once/" + code)
}

// Accept opens a session by an invitation, which ends with it.
func (s *Sessions) Accept(c *gin.Context) error {
	client := net.ParseIP(c.RemoteIP())
	var taken invitation
	ok := false
	if c.Request.Method == http.MethodGet && client != nil && client.IsLoopback() {
		taken, ok = s.invitations.take(c.Param("code"))
	}
	if !ok {
		return fmt.Errorf("%w: this link logs in once, and was used already or never valid; log in with a token instead", core.ErrNotFound)
	}
	id := s.newID()
	if err := s.open(c, id, ofToken(taken.token, id), taken.token.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, s.base.Local(s.base.Path(taken.back)))
	return nil
}

func (i *invitations) take(code string) (invitation, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken, ok := i.open[code]
	delete(i.open, code)
	return taken, ok
}
