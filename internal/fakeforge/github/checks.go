package github

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// maxAnnotations is how many annotations GitHub takes in a call.
const maxAnnotations = 50

// maxActions is how many buttons a check run has.
const maxActions = 3

func (a Action) isTooLong() bool {
	return a.Label == "" || a.Identifier == "" || a.Description == "" ||
		utf8.RuneCountInString(a.Label) > 20 || utf8.RuneCountInString(a.Description) > 40 || utf8.RuneCountInString(a.Identifier) > 20
}

// installationID is that of the App on all repositories.
const installationID = 55

// CheckRun is a check run as the forge keeps it.
type CheckRun struct {
	ID          int64        `json:"id"`
	Name        string       `json:"name"`
	HeadSHA     string       `json:"head_sha"`
	ExternalID  string       `json:"external_id"`
	DetailsURL  string       `json:"details_url"`
	Status      string       `json:"status"`
	Conclusion  *string      `json:"conclusion"`
	Output      CheckOutput  `json:"output"`
	Actions     []Action     `json:"actions,omitempty"` // GitHub shows them on its pages only
	Annotations []Annotation `json:"-"`                 // of all calls
}

// CheckOutput is what a check run says.
type CheckOutput struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Annotations []Annotation `json:"annotations,omitempty"`
}

// Action is a button of a check run.
type Action struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// Annotation is a note on lines of a file.
type Annotation struct {
	Path      string `json:"path"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
	Level     string `json:"annotation_level"`
	Title     string `json:"title"`
	Message   string `json:"message"`
}

// checks is the API of check runs, which only Apps may use, and of the App's installation.
type checks struct {
	objects
	mu   sync.Mutex
	runs map[int64]*CheckRun
}

func (c *checks) register(f *fakeforge.Forge) {
	token := f.Token
	f.Token = func(r *http.Request) string {
		if bearer := fakeforge.BearerToken(r, "bearer"); asApp(r.URL.Path) && strings.Count(bearer, ".") == 2 {
			return c.AccessToken() // the App's own key, which is not checked here
		}
		return token(r)
	}
	c.Route("GET "+repositoryRoot+"/installation", c.showInstallation)
	c.Route("POST "+apiRoot+"/app/installations/{id}/access_tokens", c.createToken)
	c.Route("POST "+repositoryRoot+"/check-runs", c.Refusable(c.create))
	c.Route("PATCH "+repositoryRoot+"/check-runs/{id}", c.Refusable(c.update))
	c.Route("GET "+repositoryRoot+"/commits/{sha}/check-runs", c.list)
	c.Route("GET "+repositoryRoot+"/collaborators/{login}/permission", c.showPermission)
}

func asApp(path string) bool {
	return strings.HasSuffix(path, "/installation") || strings.HasSuffix(path, "/access_tokens")
}

func (c *checks) showInstallation(r *http.Request) fakeforge.Answer {
	if _, ok := c.RepositoryOf(r); !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	return fakeforge.OK(map[string]any{"id": installationID, "permissions": map[string]string{
		"actions": "read", "checks": "write", "contents": "read", "issues": "write", "metadata": "read", "pull_requests": "write",
		"repository_hooks": "write", "statuses": "write",
	}})
}

// createToken makes a token with the permissions that are asked for, of which only that to write comments counts.
func (c *checks) createToken(r *http.Request) fakeforge.Answer {
	var asked struct{ Permissions map[string]string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	token := c.AccessToken()
	if asked.Permissions != nil && asked.Permissions["issues"] != "write" && asked.Permissions["pull_requests"] != "write" {
		token += fakeforge.Muted
	}
	return fakeforge.Answer{Status: http.StatusCreated, Body: map[string]any{
		"token": token, "expires_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	}}
}

func (c *checks) create(r *http.Request) fakeforge.Answer {
	run := &CheckRun{}
	repo, ok := c.RepositoryOf(r)
	switch known, err := c.Knows(r.Context(), repo, decodeCheck(r, run).HeadSHA); {
	case !ok:
		return refuse(http.StatusNotFound, "Not Found")
	case err != nil:
		return c.Crashed(r, err)
	case !known:
		return refuse(http.StatusUnprocessableEntity, noCommit+run.HeadSHA)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	run.ID = c.NextID()
	if problem := run.accept(); problem != "" {
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n"+problem)
	}
	c.runs[run.ID] = run
	return fakeforge.Answer{Status: http.StatusCreated, Body: run}
}

func (c *checks) update(r *http.Request) fakeforge.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	run := c.runs[id]
	if run == nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	next := *run
	decodeCheck(r, &next)
	if problem := next.accept(); problem != "" {
		return refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n"+problem)
	}
	*run = next
	return fakeforge.OK(run)
}

// decodeCheck reads what a call says into a run; what it does not say stays.
func decodeCheck(r *http.Request, run *CheckRun) *CheckRun {
	_ = json.NewDecoder(r.Body).Decode(run)
	return run
}

// accept moves the annotations of a call to those of the calls before, or names the rule that it breaks.
func (run *CheckRun) accept() (problem string) {
	said := run.Output.Annotations
	run.Output.Annotations = nil
	switch {
	case run.Name == "":
		return "\"name\" wasn't supplied."
	case len(said) > maxAnnotations:
		return "No more than 50 items are allowed; " + strconv.Itoa(len(said)) + " were supplied."
	case run.Status == "completed" && run.Conclusion == nil:
		return "\"conclusion\" wasn't supplied."
	case run.Output.Title == "" || run.Output.Summary == "":
		return "\"title\", \"summary\" weren't supplied."
	case len(run.Actions) > maxActions || slices.ContainsFunc(run.Actions, Action.isTooLong):
		return "\"actions\" are 3 at most, of 20, 40 and 20 characters."
	case slices.ContainsFunc(said, func(a Annotation) bool { return a.Path == "" || a.StartLine < 1 || a.Message == "" }):
		return "an annotation lacks its path, line or message."
	}
	if run.Status != "completed" {
		run.Conclusion = nil
	}
	run.Annotations = append(run.Annotations, said...)
	return ""
}

// list lists a commit's runs with all their annotations, from the newest on.
func (c *checks) list(r *http.Request) fakeforge.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []CheckRun{}
	for _, run := range c.runs {
		if run.HeadSHA == strings.ToLower(r.PathValue("sha")) {
			shown := *run
			shown.Output.Annotations = run.Annotations
			list = append(list, shown)
		}
	}
	slices.SortFunc(list, func(a, b CheckRun) int { return int(b.ID - a.ID) })
	return fakeforge.OK(map[string]any{"total_count": len(list), "check_runs": list})
}

// Guest may read all repositories, as everybody may who is no collaborator.
var Guest = fakeforge.Account{ID: 777, Login: "guest", Name: "Guest", Email: "guest@example.com"}

// showPermission tells what somebody may do: fakeforge.Pusher writes.
func (c *checks) showPermission(r *http.Request) fakeforge.Answer {
	permissions := map[string]string{fakeforge.Pusher.Login: "write", Guest.Login: "read"}
	ids := map[string]int64{fakeforge.Pusher.Login: fakeforge.Pusher.ID, Guest.Login: Guest.ID}
	login := r.PathValue("login")
	_, ok := c.RepositoryOf(r)
	if permission := permissions[login]; ok && permission != "" {
		return fakeforge.OK(map[string]any{"permission": permission, "role_name": permission, "user": c.user(login, ids[login], "User")})
	}
	return refuse(http.StatusNotFound, "Not Found")
}

// Pressed is the payload of the event check_run when somebody presses a button of a run; without one, "Re-run".
func Pressed(run CheckRun, project string, id int64, button string, by fakeforge.Account) map[string]any {
	payload := map[string]any{
		"action": "rerequested", "check_run": map[string]any{
			"id": run.ID, "head_sha": run.HeadSHA, "external_id": run.ExternalID, "name": run.Name, "status": run.Status, "conclusion": run.Conclusion,
			"output": run.Output, "app": map[string]any{"id": appID, "created_at": "2018-04-25 20:42:10"},
			"check_suite": map[string]any{"id": 1, "head_branch": nil, "head_sha": run.HeadSHA},
		},
		"repository": map[string]any{"id": id, "full_name": project, "default_branch": "main"},
		"sender":     map[string]any{"login": by.Login, "id": by.ID, "type": "User"},
	}
	if button != "" {
		payload["action"], payload["requested_action"] = "requested_action", map[string]any{"identifier": button}
	}
	return payload
}
