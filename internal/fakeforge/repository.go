package fakeforge

import (
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// Repository is a project of the forge, backed by a git repository on disk that the server only reads.
type Repository struct {
	Project       string // owner/name, group/sub/name
	ID            int64  // 0: the next free one
	Dir           string // bare or not
	DefaultBranch string // empty: main
}

// Owner is everything before the last slash of the project's path.
func (r Repository) Owner() string { return r.Project[:max(0, strings.LastIndexByte(r.Project, '/'))] }

// Name is the last part of the project's path.
func (r Repository) Name() string { return r.Project[strings.LastIndexByte(r.Project, '/')+1:] }

// Git reads the git repository.
func (r Repository) Git() gitrepo.Dir { return gitrepo.Dir(r.Dir) }

// Account is a user of the forge.
type Account struct {
	ID                 int64
	Login, Name, Email string
}

// The accounts of every forge: who pushes, and whom the API token belongs to.
var (
	Pusher = Account{ID: 501, Login: "mira", Name: gitrepo.SampleAuthor.Name, Email: gitrepo.SampleAuthor.Email}
	Bot    = Account{ID: 502, Login: "scanhook-bot", Name: "Scanhook"}
)

// Person is the account as an author of commits.
func (a Account) Person() gitrepo.Person { return gitrepo.Person{Name: a.Name, Email: a.Email} }
