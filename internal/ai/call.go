package ai

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/scanhook/scanhook/core"
)

// maxReply bounds the whole of what the service answers, in bytes; the model's answer is a part of it.
const maxReply = 256 << 10

type request struct {
	Model          string         `json:"model"`
	Messages       []message      `json:"messages"`
	Temperature    float64        `json:"temperature"`
	ResponseFormat responseFormat `json:"response_format"`
}

type responseFormat struct {
	Type string `json:"type"`
}

// reply is the little that we read of an answer; services add fields of their own.
type reply struct {
	Choices []struct {
		Message struct {
			Content *string `json:"content"`
			Refusal string  `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
}

// complete returns what the model says.
func (c *Client) complete(ctx context.Context, messages []message) (string, error) {
	body, err := json.Marshal(request{
		Model: c.Model, Messages: messages, ResponseFormat: responseFormat{Type: "json_object"},
	})
	if err != nil {
		return "", fmt.Errorf("asking the AI: %w", err)
	}
	answered, err := c.post(ctx, body)
	if err != nil {
		return "", err
	}
	var got reply
	switch err := json.Unmarshal(answered, &got); {
	case err != nil:
		return "", nonsense("the service's reply is not what OpenAI's API says: check ai.url")
	case len(got.Choices) == 0:
		return "", nonsense("the service's reply has no choices")
	}
	said := got.Choices[0].Message
	if said.Refusal != "" || said.Content == nil {
		return "", nonsense("the model refuses to answer")
	}
	return *said.Content, nil
}

func (c *Client) post(ctx context.Context, body []byte) ([]byte, error) {
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, away("ai.url is not an address")
	}
	call.Header.Set("Content-Type", "application/json")
	call.Header.Set("User-Agent", "scanhook")
	if c.Token != "" {
		call.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, refused(response.StatusCode)
	}
	answered, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	switch {
	case err != nil:
		return nil, c.lost(ctx, err)
	case len(answered) > maxReply:
		return nil, nonsense("the service's reply is longer than %d bytes", maxReply)
	}
	return answered, nil
}

// lost explains why there is no reply. Other errors than those of the network repeat bytes of the reply.
func (c *Client) lost(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return away("no answer within %s: raise ai.timeout or take a faster model", c.Timeout)
	case ctx.Err() != nil:
		return away("the question was broken off")
	case errors.As(err, &network):
		return away("%v", network)
	case errors.As(err, &certificate):
		return away("%v", certificate)
	}
	return away("the connection broke off, or what answers does not speak HTTP")
}

// hints say what to do about an answer; others pass by themselves.
var hints = map[int]string{
	http.StatusUnauthorized:          ": check ai.token",
	http.StatusForbidden:             ": check ai.token and what it may do",
	http.StatusNotFound:              ": check ai.url and ai.model",
	http.StatusRequestEntityTooLarge: ": take a model that reads more",
}

func refused(status int) error {
	hint := hints[status]
	if status >= 300 && status < 400 {
		hint = ": redirects are not followed, write the final address into ai.url"
	}
	return away("the service answers %d %s%s", status, http.StatusText(status), hint)
}

func away(format string, args ...any) error {
	return fmt.Errorf("asking the AI: %w: %s", core.ErrUnavailable, fmt.Sprintf(format, args...))
}

func nonsense(format string, args ...any) error {
	return fmt.Errorf("asking the AI: %w: %s", core.ErrInvalid, fmt.Sprintf(format, args...))
}
