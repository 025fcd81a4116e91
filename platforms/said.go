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
	maxRefusal = 64 << 10 // bytes that are read of an answer that is an error
	maxSaid    = 200      // characters that are kept of what it says
)

// refusal is an answer that is an error. It goes with the request, so that what the platform says can still be told when
// a client has read the body, closed it or put another one in its place.
type refusal struct{ text []byte }

type refusalKey struct{}

// withRefusal is the request with room for a refusal.
func withRefusal(request *http.Request) (*http.Request, *refusal) {
	kept := new(refusal)
	return request.WithContext(context.WithValue(request.Context(), refusalKey{}, kept)), kept
}

// keep reads the body now. Of a connection that breaks off it keeps what has come.
func (r *refusal) keep(response *http.Response) {
	r.text, _ = io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(r.text))
}

// answerOf is the body of an answer that is an error.
func answerOf(response *http.Response) []byte {
	if response.Request == nil {
		return nil
	}
	if kept, ok := response.Request.Context().Value(refusalKey{}).(*refusal); ok {
		return kept.text
	}
	return nil
}

// Said is the sentence with which a platform refuses a call: one line without control characters and without the given
// secret, or nothing where the answer holds none.
func Said(response *http.Response, secret string) string {
	text := sentenceIn(answerOf(response))
	if text == "" && strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		text = string(answerOf(response))
	}
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "[token]")
	}
	text = strings.Join(strings.Fields(core.Printable(core.WithoutEscapes(text))), " ")
	if utf8.RuneCountInString(text) > maxSaid {
		text = string([]rune(text)[:maxSaid-1]) + "…"
	}
	return text
}

// Answer tells what a platform answered, with its sentence: github answered 403, "Repository was archived".
func Answer(name string, response *http.Response, secret string) string {
	answer := fmt.Sprintf("%s answered %d", name, response.StatusCode)
	if said := Said(response, secret); said != "" {
		answer += fmt.Sprintf(", %q", said)
	}
	return answer
}

// sentenceIn puts together what the JSON of an error says. GitHub and Gitea have a message, and the fields at fault
// beside it; GitLab has a message, which can be an object of fields, or an error with its description.
func sentenceIn(body []byte) string {
	var answer struct {
		Message     any  `json:"message"`
		Error       any  `json:"error"`
		Description Text `json:"error_description"`
		Errors      any  `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	first := cmp.Or(inWords(answer.Message), joined(inWords(answer.Error), string(answer.Description)))
	if more := inWords(answer.Errors); more != first {
		return joined(first, more)
	}
	return first
}

func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), ": ")
}

// inWords flattens a value of JSON: fields before what is said of them.
func inWords(value any) string {
	var parts []string
	switch value := value.(type) {
	case string:
		return value
	case []any:
		for _, one := range value {
			parts = append(parts, inWords(one))
		}
	case map[string]any:
		if field, ok := value["field"].(string); ok { // GitHub's description of one field at fault
			what := cmp.Or(inWords(value["message"]), inWords(value["code"]))
			return field + " " + strings.TrimPrefix(what, field+" ")
		}
		if message, ok := value["message"]; ok {
			return inWords(message)
		}
		for field, what := range value {
			parts = append(parts, field+" "+inWords(what))
		}
		slices.Sort(parts)
	}
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ", ")
}

// Advice is what to do about a refusal of which the platform's sentence gives the reason, else the usual advice.
func Advice(said, usual string) string {
	words := strings.ToLower(said)
	switch {
	case strings.Contains(words, "archived"):
		return "the project is archived and takes no statuses until somebody unarchives it"
	case strings.Contains(words, "ip allow list") || strings.Contains(words, "ip address") || strings.Contains(words, "your ip"):
		return "let the address of this server into the list of allowed addresses there"
	}
	return usual
}
