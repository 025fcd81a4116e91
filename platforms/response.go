package platforms

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

const (
	maxAnswer    = 16 << 20 // bytes that are read of an answer; comparisons of commits carry patches
	maxErrorBody = 64 << 10 // bytes that are read of an error answer
	maxMessage   = 200      // characters that are kept of its message
)

// boundedTransport bounds the answers, and keeps the bodies of error answers for ErrorMessage.
type boundedTransport struct{ base http.RoundTripper }

func (t boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	kept := new(errorBody)
	request = request.WithContext(context.WithValue(request.Context(), errorBodyKey{}, kept))
	response, err := t.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Request = request
	if response.StatusCode >= http.StatusBadRequest {
		kept.read(response)
		return response, nil
	}
	response.Body = boundedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	return response, nil
}

type boundedBody struct {
	io.Reader
	io.Closer
}

// errorBody is the body of an error answer. It is kept in the request's context, because a client library may have read,
// closed or replaced the response's body.
type errorBody struct{ text []byte }

type errorBodyKey struct{}

// read keeps what has come, also of a connection that breaks.
func (b *errorBody) read(response *http.Response) {
	b.text, _ = io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(b.text))
}

// errorBodyOf is nil where the response did not come through a boundedTransport.
func errorBodyOf(response *http.Response) []byte {
	if response.Request == nil {
		return nil
	}
	if kept, ok := response.Request.Context().Value(errorBodyKey{}).(*errorBody); ok {
		return kept.text
	}
	return nil
}

// ErrorMessage is the message with which a platform refuses a call: one line without control characters and without the
// given secret, or nothing where the answer holds none.
func ErrorMessage(response *http.Response, secret string) string {
	text := messageIn(errorBodyOf(response))
	if text == "" && strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		text = string(errorBodyOf(response))
	}
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "[token]")
	}
	text = strings.Join(strings.Fields(core.Printable(core.WithoutEscapes(text))), " ")
	if utf8.RuneCountInString(text) > maxMessage {
		text = string([]rune(text)[:maxMessage-1]) + "…"
	}
	return text
}

// DescribeError describes an error answer with its message: github answered 403, "Repository was archived".
func DescribeError(name string, response *http.Response, secret string) string {
	answer := fmt.Sprintf("%s answered %d", name, response.StatusCode)
	if message := ErrorMessage(response, secret); message != "" {
		answer += fmt.Sprintf(", %q", message)
	}
	return answer
}

// messageIn reads the message in the JSON of an error. GitHub and Gitea have a message and a list of the fields at fault;
// GitLab has a message, which can be an object of fields, or an error with its description.
func messageIn(body []byte) string {
	var answer struct {
		Message     any  `json:"message"`
		Error       any  `json:"error"`
		Description Text `json:"error_description"`
		Errors      any  `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	first := cmp.Or(flatten(answer.Message), joined(flatten(answer.Error), string(answer.Description)))
	if more := flatten(answer.Errors); more != first {
		return joined(first, more)
	}
	return first
}

func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), ": ")
}

// flatten makes text of a JSON value, each field followed by its messages.
func flatten(value any) string {
	var parts []string
	switch value := value.(type) {
	case string:
		return value
	case []any:
		for _, element := range value {
			parts = append(parts, flatten(element))
		}
	case map[string]any:
		if field, ok := value["field"].(string); ok { // GitHub's description of one field at fault
			problem := cmp.Or(flatten(value["message"]), flatten(value["code"]))
			return field + " " + strings.TrimPrefix(problem, field+" ")
		}
		if message, ok := value["message"]; ok {
			return flatten(message)
		}
		for field, problem := range value {
			parts = append(parts, field+" "+flatten(problem))
		}
		slices.Sort(parts)
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
}

// Advice is what to do about a refusal whose message gives the reason; otherwise it is the usual advice.
func Advice(message, usual string) string {
	message = strings.ToLower(message)
	switch {
	case strings.Contains(message, "archived"):
		return "the project is archived and takes no statuses until somebody unarchives it"
	case strings.Contains(message, "locked"):
		return "the conversation is locked: unlock it, or let the account of the token write there"
	case strings.Contains(message, "ip allow list") || strings.Contains(message, "ip address") ||
		strings.Contains(message, "your ip"):
		return "add the address of this server to the list of allowed addresses there"
	}
	return usual
}
