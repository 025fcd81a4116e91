package ai

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// maxAnswer bounds what the model says, in bytes.
const maxAnswer = 16 << 10

// answer is the one form that an answer may have. Pointers tell null and absent from empty.
type answer struct {
	verdict    *core.AIVerdict
	confidence *float64
	reasoning  *string
	evidence   []*string
	patch      *string
}

// parse reads an answer. It repeats nothing of it in its errors.
func parse(content string) (core.Opinion, error) {
	if len(content) > maxAnswer {
		return core.Opinion{}, nonsense("the answer is longer than %d bytes", maxAnswer)
	}
	var a answer
	if err := a.read(unfenced(content)); err != nil {
		return core.Opinion{}, err
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

// read is stricter than encoding/json: no field twice, none in other letters, nothing after the object.
func (a *answer) read(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return nonsense("the answer is no JSON object")
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
			return nonsense("the answer is broken JSON")
		case !asked:
			return nonsense("the answer has a field that was not asked for, or one twice")
		}
		delete(fields, name)
		if err := decoder.Decode(field); err != nil {
			return nonsense("the answer's %s has another type or is broken JSON", name)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nonsense("the answer is broken JSON")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nonsense("the answer goes on after its JSON object")
	}
	return nil
}

// opinion checks that the answer says everything, and only what can be.
func (a *answer) opinion() (core.Opinion, error) {
	if a.verdict == nil || a.confidence == nil || a.reasoning == nil || a.evidence == nil {
		return core.Opinion{}, nonsense("the answer lacks a field")
	}
	o := core.Opinion{Verdict: *a.verdict, Confidence: *a.confidence, Reasoning: visible(strings.TrimSpace(*a.reasoning))}
	for _, quote := range a.evidence {
		if quote == nil {
			return core.Opinion{}, nonsense("the answer's evidence holds something else than text")
		}
		o.Evidence = append(o.Evidence, *quote)
	}
	if a.patch != nil {
		o.Patch = strings.ReplaceAll(*a.patch, "\x00", "\uFFFD") // which no database stores
	}
	switch {
	case o.Verdict != core.AITruePositive && o.Verdict != core.AIFalsePositive && o.Verdict != core.AIUnsure:
		return core.Opinion{}, nonsense("the answer's verdict is none that was asked for")
	case o.Confidence < 0 || o.Confidence > 1:
		return core.Opinion{}, nonsense("the answer's confidence is not between 0 and 1")
	case o.Reasoning == "":
		return core.Opinion{}, nonsense("the answer gives no reason")
	case len(o.Evidence) == 0 && o.Verdict != core.AIUnsure:
		return core.Opinion{}, nonsense("the answer gives a verdict without evidence")
	}
	return o, nil
}
