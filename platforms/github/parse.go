package github

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	guidHeader   = "X-GitHub-Delivery" // shared by all webhooks that announce the same event
	hookIDHeader = "X-GitHub-Hook-ID"
)

// repository is the part of a payload's repository that we use.
type repository struct {
	ID            platforms.Number `json:"id"`
	FullName      platforms.Text   `json:"full_name"`
	HTMLURL       platforms.Text   `json:"html_url"`
	CloneURL      platforms.Text   `json:"clone_url"`
	DefaultBranch platforms.Text   `json:"default_branch"`
}

// Parse translates a verified call. Both content types of GitHub are read: JSON, and a form with the field payload.
func (p *Platform) Parse(header http.Header, body []byte) (core.Delivery, error) {
	delivery := core.Delivery{
		Platform:   p.name,
		Name:       platforms.Clean(header.Get("X-GitHub-Event")),
		ReceivedAt: p.now().UTC(),
		Key:        deliveryKey(header, body),
	}
	if delivery.Name == "" {
		return core.Delivery{}, fmt.Errorf("%w: the header X-GitHub-Event is missing: only webhooks of GitHub or"+
			" Gitea belong to this address", core.ErrInvalid)
	}
	payload, err := jsonOf(header, body)
	if err == nil {
		delivery.Event, delivery.Project, err = p.event(delivery.Name, payload)
	}
	if err != nil {
		return core.Delivery{}, fmt.Errorf("parsing %s: %w", delivery.Name, err)
	}
	return delivery, nil
}

func (p *Platform) event(name string, payload []byte) (core.Event, string, error) {
	switch name {
	case "push":
		return p.parsePush(payload)
	case "workflow_run":
		return p.parseWorkflowRun(payload)
	case "status":
		return p.parseStatus(payload)
	}
	var other struct {
		Repository repository `json:"repository"`
	}
	if err := platforms.DecodeObject(payload, &other); err != nil {
		return nil, "", err
	}
	project := string(other.Repository.FullName)
	if platforms.CheckProject(project) != nil {
		project = ""
	}
	return core.Ignored{Reason: reasonToIgnore(name)}, project, nil
}

func reasonToIgnore(event string) string {
	switch event {
	case "ping":
		return "ping received: the webhook works"
	case "create", "delete":
		return "a branch or tag that comes or goes is seen through its push event"
	case "check_run", "check_suite":
		return "checks are results: they start no scan"
	case "pull_request", "pull_request_target", "merge_group":
		return event + " events start no scan: the push of their branch does"
	}
	return event + " events are not used: push and workflow_run are enough for this webhook"
}

// deliveryKey keeps two hooks apart that announce the same event: GitHub gives both deliveries the same GUID.
// Gitea sends a type of target without its id, and then a GUID of its own per delivery.
func deliveryKey(header http.Header, body []byte) string {
	guid := header.Get(guidHeader)
	if guid == "" {
		return platforms.HashKey(header.Get("X-GitHub-Event"), body)
	}
	if hook := header.Get(hookIDHeader); hook != "" {
		return platforms.DeliveryKey(hook, guid)
	}
	const target = "X-GitHub-Hook-Installation-Target-"
	if id := header.Get(target + "ID"); id != "" {
		return platforms.DeliveryKey(header.Get(target+"Type"), id, guid)
	}
	return platforms.DeliveryKey("delivery", guid)
}

// jsonOf unwraps the form; any other content type is left to the JSON decoder to judge.
func jsonOf(header http.Header, body []byte) ([]byte, error) {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return body, nil
	}
	payload, ok := formField(body, "payload")
	if !ok {
		return nil, fmt.Errorf("%w: the form has no readable field payload: choose the content type application/json"+
			" for the webhook", core.ErrInvalid)
	}
	return payload, nil
}

// project translates the repository; its path must be sound because addresses are built from it.
func (p *Platform) project(r repository) (core.Project, error) {
	path := string(r.FullName)
	if err := platforms.CheckProject(path); err != nil {
		return core.Project{}, fmt.Errorf("repository.full_name: %w", err)
	}
	return core.Project{
		Name:          path,
		Ref:           r.ID.ID(),
		URL:           platforms.WebAddress(r.HTMLURL, p.web.JoinPath(path).String()),
		CloneURL:      platforms.WebAddress(r.CloneURL, p.cloneURL(path)),
		DefaultBranch: string(r.DefaultBranch),
	}, nil
}

// pushPayload is the part of a push that we use. Gitea has total_commits, GitHub has created, deleted and forced.
type pushPayload struct {
	Ref        platforms.Text `json:"ref"`
	Before     platforms.Text `json:"before"`
	After      platforms.Text `json:"after"`
	Created    bool           `json:"created"`
	Deleted    bool           `json:"deleted"`
	Forced     bool           `json:"forced"`
	HeadCommit struct {
		ID platforms.Text `json:"id"`
	} `json:"head_commit"`
	Commits      platforms.Commits `json:"commits"`
	TotalCommits platforms.Number  `json:"total_commits"`
	Repository   repository        `json:"repository"`
}

func (p *Platform) parsePush(payload []byte) (core.Event, string, error) {
	var push pushPayload
	if err := platforms.DecodeObject(payload, &push); err != nil {
		return nil, "", err
	}
	project, err := p.project(push.Repository)
	if err != nil {
		return nil, "", err
	}
	event, err := platforms.CompletePush(push.translate(project))
	return event, project.Name, err
}

func (push pushPayload) translate(project core.Project) core.Push {
	return core.Push{
		Project:   project,
		Ref:       string(push.Ref),
		Before:    platforms.CommitID(push.Before),
		After:     platforms.CommitID(push.After),
		CommitSHA: platforms.FirstCommit(push.HeadCommit.ID, push.After),
		Created:   push.Created,
		Deleted:   push.Deleted,
		Forced:    push.Forced,
		Files:     platforms.CountFiles(push.Commits, push.TotalCommits.Int()),
	}
}

// formField is a field of an urlencoded form; ok is false where it is missing, empty or broken. It takes the field's
// memory once, where url.ParseQuery would take that of the form several times.
func formField(form []byte, name string) (value []byte, ok bool) {
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		if encoded, found := bytes.CutPrefix(pair, []byte(name+"=")); found {
			value, ok = unescape(encoded)
			return value, ok && len(value) > 0
		}
	}
	return nil, false
}

func unescape(encoded []byte) (text []byte, ok bool) {
	text = make([]byte, 0, len(encoded))
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; c {
		case '+':
			text = append(text, ' ')
		case '%':
			end := min(i+3, len(encoded))
			decoded, err := hex.AppendDecode(text, encoded[i+1:end])
			if err != nil || len(decoded) != len(text)+1 {
				return nil, false
			}
			text = decoded
			i += 2
		default:
			text = append(text, c)
		}
	}
	return text, true
}
