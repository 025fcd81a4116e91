package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// actionPayload is the part of the events check_run and check_suite that we use. Their examples have values of odd types, so nothing else
// of them is read.
type actionPayload struct {
	Action    platforms.Text `json:"action"`
	CheckRun  *checkPayload  `json:"check_run"`
	Suite     *checkPayload  `json:"check_suite"`
	Requested struct {
		Identifier platforms.Text `json:"identifier"`
	} `json:"requested_action"`
	Sender struct {
		ID    platforms.Number `json:"id"`
		Login platforms.Text   `json:"login"`
	} `json:"sender"`
}

// checkPayload is a check run, or all of an App on a commit.
type checkPayload struct {
	ID      platforms.Number `json:"id"`
	HeadSHA platforms.Text   `json:"head_sha"`
	App     struct {
		ID platforms.Number `json:"id"`
	} `json:"app"`
}

// parseAction reads which button of a check run somebody pressed. Nil for everything else.
func (p *Platform) parseAction(name string, payload []byte) (core.Event, string, error) {
	if name != "check_run" && name != "check_suite" || p.app == nil {
		return nil, "", nil
	}
	var event actionPayload
	if err := platforms.DecodeObject(payload, &event); err != nil {
		return nil, "", err
	}
	check, pressed := event.CheckRun, event.Action == "requested_action"
	if name == "check_suite" {
		check, pressed = event.Suite, false
	}
	if check == nil || !pressed && event.Action != "rerequested" {
		return nil, "", nil
	}
	project, err := p.ProjectOf(payload)
	if err != nil {
		return nil, "", err
	}
	switch {
	case check.App.ID.Int() != p.app.config.ID:
		return core.Ignored{Reason: "the check run belongs to another App"}, project.Name, nil
	case event.Sender.ID.Int() <= 0 || !logins.MatchString(string(event.Sender.Login)):
		return core.Ignored{Reason: "no person pressed the button: programs ask for scans through the API"}, project.Name, nil
	}
	digest := sha256.Sum256(payload)
	action := core.CheckAction{
		Project: project, CommitSHA: string(check.HeadSHA), Login: string(event.Sender.Login), UserID: event.Sender.ID.Int(),
		Digest: hex.EncodeToString(digest[:]),
	}
	if name == "check_run" {
		action.CheckID = check.ID.Int()
	}
	if pressed {
		action.Button = string(event.Requested.Identifier)
	}
	return action, project.Name, admit(name, pressed, action)
}

// logins are those of people, which are safe in a path. Apps have brackets in theirs, and press nothing.
var logins = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// admit tells whether an action has all that it takes.
func admit(name string, pressed bool, action core.CheckAction) error {
	switch {
	case !core.IsCommitSHA(action.CommitSHA):
		return fmt.Errorf("%w: head_sha names no commit", core.ErrInvalid)
	case name == "check_run" && action.CheckID <= 0:
		return fmt.Errorf("%w: check_run.id is missing", core.ErrInvalid)
	case pressed && action.Button == "":
		return fmt.Errorf("%w: requested_action.identifier is missing", core.ErrInvalid)
	}
	return nil
}

// MayWrite asks for the permission of a person on a repository. On a public one everybody may read, so it takes more than that.
func (p *Platform) MayWrite(ctx context.Context, project core.Project, login string, id int64) (bool, error) {
	may, err := p.mayWrite(ctx, project, login, id)
	if err != nil {
		p.Forget(project.Name, err)
		return false, fmt.Errorf("asking what %s may do in %s: %w", login, project.Name, err)
	}
	return may, nil
}

func (p *Platform) mayWrite(ctx context.Context, project core.Project, login string, id int64) (bool, error) {
	if !logins.MatchString(login) {
		return false, fmt.Errorf("%w: %.40q is no login", platforms.ErrRefused, login)
	}
	client, owner, name, err := p.Open(ctx, project.Name)
	if err != nil {
		return false, err
	}
	if project.Ref == "" {
		ctx = platforms.WithoutRedirects(ctx)
	}
	var found struct {
		Permission platforms.Text `json:"permission"`
		User       struct {
			ID platforms.Number `json:"id"`
		} `json:"user"`
	}
	answer, err := p.Call(ctx, client, http.MethodGet, fmt.Sprintf("repos/%s/%s/collaborators/%s/permission", owner, name, login), nil, &found)
	if answer != nil && answer.Response != nil && answer.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if err := platforms.Readable(p.Classify(answer, err), err); err != nil {
		return false, err
	}
	writes := found.Permission == "admin" || found.Permission == "write"
	return writes && found.User.ID.Int() == id, nil
}
