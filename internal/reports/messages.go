package reports

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// embeddedLink is SARIF's link from a message to a related location, by its number: [user input](1).
var embeddedLink = regexp.MustCompile(`\[([^\[\]]*)\]\(\d+\)`)

// applyMessage takes the text that the result states; one that only names a message of its rule has to wait for that.
func (r *run) applyMessage(finding *core.Finding, d *draft, message *wireMessage) {
	if message.Text == "" && message.ID != "" {
		waiting := *message // a copy, because a pointer would keep the whole result in memory
		d.message = &waiting
		return
	}
	finding.Message = r.plain(first(message.Text, message.Markdown), message.Arguments)
}

// message looks the text up in the rule, then in the tool (3.11.7).
func (r *run) message(wanted *wireMessage, by *rule) string {
	candidates := []map[string]wireMessage{by.messages, r.driver.messages}
	for _, extension := range r.extensions {
		candidates = append(candidates, extension.messages)
	}
	for _, messages := range candidates {
		found := messages[wanted.ID]
		if text := first(found.Text, found.Markdown); text != "" {
			return r.plain(text, wanted.Arguments)
		}
	}
	return r.plain(wanted.Markdown, wanted.Arguments)
}

// plain is a message as it is stored: arguments in their places, links reduced to their words.
func (r *run) plain(text string, arguments []string) string {
	text = clip(text, 2*r.limits.message()) // an argument may be repeated without end
	if len(arguments) > 0 {
		text = substitute(text, arguments, r.limits.message())
	}
	if strings.Contains(text, "](") {
		text = embeddedLink.ReplaceAllString(text, "$1")
	}
	return clean(strings.TrimSpace(text), r.limits.message())
}

// substitute replaces {0}, {1}… by arguments and the escapes {{ and }} by braces (3.11.5), up to about limit bytes.
// A text without arguments is not ours to touch: many tools quote code there without escaping its braces.
func substitute(text string, arguments []string, limit int) string {
	var out strings.Builder
	for len(text) > 0 && out.Len() <= limit {
		brace := strings.IndexAny(text, "{}")
		if brace < 0 {
			break
		}
		out.WriteString(text[:brace])
		text = text[brace:]
		end := strings.IndexByte(text, '}')
		switch {
		case len(text) > 1 && text[1] == text[0]:
			out.WriteByte(text[0])
			text = text[2:]
		case end > 0 && argument(text[1:end], arguments) != nil:
			out.WriteString(clip(*argument(text[1:end], arguments), limit))
			text = text[end+1:]
		default:
			out.WriteByte(text[0])
			text = text[1:]
		}
	}
	out.WriteString(text)
	return out.String()
}

func argument(index string, arguments []string) *string {
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(arguments) {
		return nil
	}
	return &arguments[i]
}
