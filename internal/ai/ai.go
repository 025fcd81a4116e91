// Package ai asks a service with OpenAI's API what it thinks of a finding.
//
// Neither side of the conversation is trusted. The code comes from whoever can push: it is put between marks that it
// cannot know, and text in it that speaks to a reviewer costs it the benefit of the doubt. The model may make things up
// or do as the code tells it: its answer has one strict form, every quote must stand in the file as it was checked out,
// and a patch must fit that file. What is left is an opinion; core decides what an opinion may change.
//
// Reading order: ai.go, prompt.go, call.go, answer.go, check.go, patch.go.
package ai

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

const defaultTimeout = time.Minute

// Config says whom to ask.
type Config struct {
	URL     string        // base of the API, without trailing slash: https://api.openai.com/v1
	Model   string        // as the service calls it
	Token   string        // bearer token; empty where the service asks for none
	Timeout time.Duration // for one answer, a minute by default
}

// Client asks one service. It may be used by several goroutines at a time.
type Client struct {
	Config
	http *http.Client
}

// New makes a Client; it calls nobody yet.
func New(cfg Config) *Client {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	return &Client{Config: cfg, http: &http.Client{CheckRedirect: staysHere}}
}

// staysHere follows no redirect: the code in the request would go to whomever the answer names.
func staysHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Case is a finding and the file that it is in.
type Case struct {
	Finding core.Finding
	Source  string // the file as it was checked out: against it the answer is checked
	Shown   string // the same lines with secrets masked: of it the model sees some
}

// Review asks about one finding. The opinion is unsure where its quotes are not in the file. core.ErrInvalid tells that
// the answer means nothing or was refused, core.ErrUnavailable that there was none; neither repeats what was sent or
// answered.
func (c *Client) Review(ctx context.Context, about Case) (core.Opinion, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	about.Source, about.Shown = oneLineEnding(about.Source), oneLineEnding(about.Shown)
	content, err := c.complete(ctx, about.prompt())
	if err != nil {
		return core.Opinion{}, err
	}
	opinion, err := parse(content)
	if err != nil {
		return core.Opinion{}, err
	}
	return about.check(opinion), nil
}

func oneLineEnding(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}
