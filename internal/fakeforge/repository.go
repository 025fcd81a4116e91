package fakeforge

import (
	"fmt"
	"strings"
	"sync"
	"time"

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

// RequestSpec is one state of a pull or merge request.
type RequestSpec struct {
	Project string // into which it is to be merged
	Number  int64
	From    string // project of its branch; empty: the same
	Gone    bool   // that project was deleted
	Branch  string // short
	Target  string // short; empty: the default branch
	Was     string // the target before, where that has changed
	Head    string // full id
	Before  string // the head before, where that has changed
	Action  string // opened, reopened, synchronize, edited or closed, as GitHub calls them
	At      time.Time
}

// requests are the pull or merge requests that were told of, by project and number, and the projects in which the API's token has no
// rights.
type requests struct {
	requestMu sync.Mutex
	known     map[string]RequestSpec
	strange   map[string]bool
}

func requestKey(project string, number int64) string {
	return fmt.Sprint(strings.ToLower(project), " ", number)
}

func (r *requests) keep(spec RequestSpec) {
	r.requestMu.Lock()
	defer r.requestMu.Unlock()
	if r.known == nil {
		r.known = map[string]RequestSpec{}
	}
	r.known[requestKey(spec.Project, spec.Number)] = spec
}

// FindRequest is the last state of a request.
func (r *requests) FindRequest(project string, number int64) (RequestSpec, bool) {
	r.requestMu.Lock()
	defer r.requestMu.Unlock()
	spec, known := r.known[requestKey(project, number)]
	return spec, known
}

// Estrange takes the token's rights in a project from it: it may read there, and no more.
func (r *requests) Estrange(project string) {
	r.requestMu.Lock()
	defer r.requestMu.Unlock()
	if r.strange == nil {
		r.strange = map[string]bool{}
	}
	r.strange[strings.ToLower(project)] = true
}

// IsStrange tells whether the token may only read in a project.
func (r *requests) IsStrange(project string) bool {
	r.requestMu.Lock()
	defer r.requestMu.Unlock()
	return r.strange[strings.ToLower(project)]
}
