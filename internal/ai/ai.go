// Package ai asks a service with OpenAI's API for its opinion of a finding.
//
// Neither the code nor the model is trusted. Anybody who can push writes the code: the prompt puts it between marks that
// it cannot know, and code that addresses its reviewer is never a false positive. The model may invent things or obey
// the code: its answer has one strict form, every quote must be in the file as it was checked out, and a patch must fit
// that file. The rest is an opinion; core decides what an opinion may change.
package ai

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/scanhook/scanhook/core"
)

const (
	defaultTimeout = time.Minute
	maxReply       = 256 << 10 // bytes of all that the service replies; the answer of the model is a part of it
)

// Config says which service to ask.
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

// New returns a Client. It calls no service.
func New(cfg Config) *Client {
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	return &Client{Config: cfg, http: &http.Client{CheckRedirect: refuseRedirect}}
}

// refuseRedirect follows none: the code in the request would go to a host that the configuration does not name.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Review asks about one finding. The opinion is unsure where its quotes are not in the file. Errors wrap core.ErrInvalid
// where the answer has another form or the model refuses, core.ErrUnavailable where there is no answer. They repeat nothing
// of what was sent or answered.
func (c *Client) Review(ctx context.Context, about ReviewRequest) (Opinion, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	about.Source, about.Shown = oneLineEnding(about.Source), oneLineEnding(about.Shown)
	content, err := c.complete(ctx, about.prompt())
	if err != nil {
		return Opinion{}, err
	}
	opinion, err := parse(content)
	if err != nil {
		return Opinion{}, err
	}
	return about.check(opinion), nil
}

// chatRequest is a request for a chat completion.
type chatRequest struct {
	Model          string         `json:"model"`
	Messages       []message      `json:"messages"`
	Temperature    float64        `json:"temperature"`
	ResponseFormat responseFormat `json:"response_format"`
}

type responseFormat struct {
	Type string `json:"type"`
}

// chatReply is what is read of the service's reply; services add fields of their own.
type chatReply struct {
	Choices []struct {
		Message struct {
			Content *string `json:"content"`
			Refusal string  `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// complete returns the answer of the model.
func (c *Client) complete(ctx context.Context, messages []message) (string, error) {
	body, err := json.Marshal(chatRequest{
		Model: c.Model, Messages: messages, ResponseFormat: responseFormat{Type: "json_object"},
	})
	if err != nil {
		return "", fmt.Errorf("asking the AI: %w", err)
	}
	answered, err := c.post(ctx, body)
	if err != nil {
		return "", err
	}
	var got chatReply
	switch err := json.Unmarshal(answered, &got); {
	case err != nil:
		return "", invalid("the service's reply is not what OpenAI's API says: check ai.url")
	case len(got.Choices) == 0:
		return "", invalid("the service's reply has no choices")
	}
	said := got.Choices[0].Message
	if said.Refusal != "" || said.Content == nil {
		return "", invalid("the model refuses to answer")
	}
	return *said.Content, nil
}

func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, unavailable("ai.url is not an address")
	}
	call.Header.Set("Content-Type", "application/json")
	call.Header.Set("User-Agent", "scanhook")
	if c.Token != "" {
		call.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, c.noReply(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, statusError(response.StatusCode)
	}
	answered, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, c.noReply(ctx, err)
	case len(answered) > maxReply:
		return nil, invalid("the service's reply is longer than %d bytes", maxReply)
	}
	return answered, nil
}

// noReply explains why there is no reply. Only errors of the network are quoted: others repeat bytes of the reply.
func (c *Client) noReply(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return unavailable("no answer within %s: raise ai.timeout or choose a faster model", c.Timeout)
	case ctx.Err() != nil:
		return unavailable("the request was cancelled")
	case errors.As(err, &network):
		return unavailable("%v", network)
	case errors.As(err, &certificate):
		return unavailable("%v", certificate)
	}
	return unavailable("the connection broke off, or what answers does not speak HTTP")
}

// hints say what to do about a status. Those without one are expected to pass.
var hints = map[int]string{
	http.StatusUnauthorized:          ": check ai.token",
	http.StatusForbidden:             ": check ai.token and what it may do",
	http.StatusNotFound:              ": check ai.url and ai.model",
	http.StatusRequestEntityTooLarge: ": choose a model with a larger context",
}

func statusError(status int) error {
	hint := hints[status]
	if status >= 300 && status < 400 {
		hint = ": redirects are not followed, write the final address into ai.url"
	}
	return unavailable("the service answers %d %s%s", status, http.StatusText(status), hint)
}

func unavailable(format string, args ...any) error {
	return fmt.Errorf("asking the AI: %w: %s", core.ErrUnavailable, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("asking the AI: %w: %s", core.ErrInvalid, fmt.Sprintf(format, args...))
}
