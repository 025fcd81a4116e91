package ai

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/patch"
)

const (
	maxAnswer = 16 << 10 // bytes of the model's answer
	minQuote  = 5        // characters that a quote needs to prove anything, white space left out
)

// answer is the one form that an answer may have. Pointers distinguish null and absent from empty.
type answer struct {
	verdict    *Verdict
	confidence *float64
	reasoning  *string
	evidence   []*string
	patch      *string
}

// parse reads an answer. Its errors repeat nothing of it.
func parse(content string) (Opinion, error) {
	if len(content) > maxAnswer {
		return Opinion{}, invalid("the answer is longer than %d bytes", maxAnswer)
	}
	var a answer
	if err := a.read(unfenced(content)); err != nil {
		return Opinion{}, err
	}
	return a.opinion()
}

// unfenced takes off the Markdown fence that some models put around JSON even when told not to.
func unfenced(content string) string {
	content = strings.TrimSpace(content)
	if inside, ok := strings.CutPrefix(content, "```"); ok && strings.HasSuffix(inside, "```") {
		content = strings.TrimPrefix(strings.TrimSuffix(inside, "```"), "json")
	}
	return content
}

// read is stricter than encoding/json: no field twice, none in another case, nothing after the object.
func (a *answer) read(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return invalid("the answer is no JSON object")
	}
	fields := map[string]any{
		"verdict": &a.verdict, "confidence": &a.confidence, "reasoning": &a.reasoning, "evidence": &a.evidence,
		"patch": &a.patch,
	}
	for decoder.More() {
		key, err := decoder.Token()
		name, _ := key.(string)
		field, asked := fields[name]
		switch {
		case err != nil:
			return invalid("the answer is broken JSON")
		case !asked:
			return invalid("the answer has a field that was not asked for, or one twice")
		}
		delete(fields, name)
		if err := decoder.Decode(field); err != nil {
			return invalid("the answer's %s has another type or is broken JSON", name)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return invalid("the answer is broken JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("the answer goes on after its JSON object")
	}
	return nil
}

// opinion checks that the answer has all fields, and their values.
func (a *answer) opinion() (Opinion, error) {
	if a.verdict == nil || a.confidence == nil || a.reasoning == nil || a.evidence == nil {
		return Opinion{}, invalid("the answer lacks a field")
	}
	o := Opinion{Verdict: *a.verdict, Confidence: *a.confidence, Reasoning: core.Printable(strings.TrimSpace(*a.reasoning))}
	for _, quote := range a.evidence {
		if quote == nil {
			return Opinion{}, invalid("the answer's evidence holds something else than text")
		}
		o.Evidence = append(o.Evidence, *quote)
	}
	if a.patch != nil {
		o.Patch = strings.ReplaceAll(*a.patch, "\x00", "\uFFFD") // which no database stores
	}
	switch {
	case o.Verdict != TruePositive && o.Verdict != FalsePositive && o.Verdict != Unsure:
		return Opinion{}, invalid("the answer's verdict is none that was asked for")
	case o.Confidence < 0 || o.Confidence > 1:
		return Opinion{}, invalid("the answer's confidence is not between 0 and 1")
	case o.Reasoning == "":
		return Opinion{}, invalid("the answer gives no reason")
	case len(o.Evidence) == 0 && o.Verdict != Unsure:
		return Opinion{}, invalid("the answer gives a verdict without evidence")
	}
	return o, nil
}

// toReviewers finds text that addresses a reviewer. It is no protection against an author who knows it: such text can be
// written differently. It also matches honest remarks about false positives; then a person decides.
var toReviewers = regexp.MustCompile(`(?i)false[ _-]?positive|true[ _-]?positive` +
	`|\bverdict\b|\bprompt\b.{0,40}\binjection|\b(system|user|developer) (prompt|message)\b` +
	`|\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|earlier|all|any|other)\b.{0,40}` +
	`\b(instruction|rule|prompt|direction|order|task|text|data)` +
	`|\b(BEGIN|END) DATA\b` +
	`|\b(AI|LLM|GPT|assistant|reviewer)s?\b.{0,60}\b(must|should|shall|please|answer|respond|reply|classify)\b`)

// check compares an opinion with the file. It becomes unsure by a quote that is not in the file, and by a false positive
// that the code may have asked for. A patch that does not fit is dropped.
func (r ReviewRequest) check(o Opinion) Opinion {
	if why := r.objection(o); why != "" {
		return makeVisible(o.Doubt("The AI's verdict does not count: " + why + "."))
	}
	if o.Patch != "" && !patch.Fits(o.Patch, r.Finding.File, r.Source) {
		o.Patch = ""
	}
	return makeVisible(o)
}

func (r ReviewRequest) objection(o Opinion) string {
	for _, quote := range o.Evidence {
		quote = oneLineEnding(quote)
		switch {
		case letters(quote) < minQuote:
			return "one of its quotes is too short to prove anything"
		case !strings.Contains(r.Source, quote):
			return "one of its quotes is not in the file"
		}
	}
	if o.Verdict == FalsePositive && toReviewers.MatchString(r.Finding.File+"\n"+r.excerpt()) {
		return "the code seems to address its reviewer, so a person should look"
	}
	return ""
}

// makeVisible leaves only what can be shown to people.
func makeVisible(o Opinion) Opinion {
	o.Reasoning = core.Printable(o.Reasoning)
	for i, quote := range o.Evidence {
		o.Evidence[i] = core.Printable(quote)
	}
	return o
}

func letters(text string) (n int) {
	for _, character := range text {
		if !unicode.IsSpace(character) {
			n++
		}
	}
	return n
}
