package ai

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

const (
	maxAnswer = 16 << 10 // bytes of the model's answer
	minQuote  = 5        // characters that a quote needs to prove anything, white space left out
)

// answer is the one form that an answer may have. Pointers distinguish null and absent from empty.
type answer struct {
	verdict    *core.AIVerdict
	confidence *float64
	reasoning  *string
	evidence   []*string
	patch      *string
}

// parse reads an answer. Its errors repeat nothing of it.
func parse(content string) (core.Opinion, error) {
	if len(content) > maxAnswer {
		return core.Opinion{}, invalid("the answer is longer than %d bytes", maxAnswer)
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
func (a *answer) opinion() (core.Opinion, error) {
	if a.verdict == nil || a.confidence == nil || a.reasoning == nil || a.evidence == nil {
		return core.Opinion{}, invalid("the answer lacks a field")
	}
	o := core.Opinion{Verdict: *a.verdict, Confidence: *a.confidence, Reasoning: visible(strings.TrimSpace(*a.reasoning))}
	for _, quote := range a.evidence {
		if quote == nil {
			return core.Opinion{}, invalid("the answer's evidence holds something else than text")
		}
		o.Evidence = append(o.Evidence, *quote)
	}
	if a.patch != nil {
		o.Patch = strings.ReplaceAll(*a.patch, "\x00", "\uFFFD") // which no database stores
	}
	switch {
	case o.Verdict != core.AITruePositive && o.Verdict != core.AIFalsePositive && o.Verdict != core.AIUnsure:
		return core.Opinion{}, invalid("the answer's verdict is none that was asked for")
	case o.Confidence < 0 || o.Confidence > 1:
		return core.Opinion{}, invalid("the answer's confidence is not between 0 and 1")
	case o.Reasoning == "":
		return core.Opinion{}, invalid("the answer gives no reason")
	case len(o.Evidence) == 0 && o.Verdict != core.AIUnsure:
		return core.Opinion{}, invalid("the answer gives a verdict without evidence")
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
func (r ReviewRequest) check(o core.Opinion) core.Opinion {
	if why := r.objection(o); why != "" {
		return makeVisible(o.Doubt("The AI's verdict does not count: " + why + "."))
	}
	if o.Patch != "" && !fits(o.Patch, r.Finding.File, r.Source) {
		o.Patch = ""
	}
	return makeVisible(o)
}

func (r ReviewRequest) objection(o core.Opinion) string {
	for _, quote := range o.Evidence {
		quote = oneLineEnding(quote)
		switch {
		case letters(quote) < minQuote:
			return "one of its quotes is too short to prove anything"
		case !strings.Contains(r.Source, quote):
			return "one of its quotes is not in the file"
		}
	}
	if o.Verdict == core.AIFalsePositive && toReviewers.MatchString(r.Finding.File+"\n"+r.excerpt()) {
		return "the code seems to address its reviewer, so a person should look"
	}
	return ""
}

// makeVisible leaves only what can be shown to people.
func makeVisible(o core.Opinion) core.Opinion {
	o.Reasoning = visible(o.Reasoning)
	for i, quote := range o.Evidence {
		o.Evidence[i] = visible(quote)
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

// fits tells whether a unified diff changes this file and nothing else: the old lines of its hunks are in the file, in this
// order. The line numbers may be wrong, because models count badly; git and patch search too.
func fits(patch, file, source string) bool {
	if core.CheckPatch(patch) != nil {
		return false
	}
	lines := strings.Split(strings.TrimSuffix(oneLineEnding(patch), "\n"), "\n")
	for len(lines) > 0 && (strings.HasPrefix(lines[0], "diff --git ") || strings.HasPrefix(lines[0], "index ")) {
		lines = lines[1:]
	}
	if len(lines) < 3 || !names(lines[0], "--- ", "a/", file) || !names(lines[1], "+++ ", "b/", file) {
		return false
	}
	return hunksFit(lines[2:], strings.Split(source, "\n"))
}

func names(header, kind, side, file string) bool {
	name, ok := strings.CutPrefix(header, kind)
	name, _, _ = strings.Cut(name, "\t")
	return ok && (name == file || name == side+file)
}

func hunksFit(lines, source []string) bool {
	for len(lines) > 0 {
		before, after, ok := core.HunkLines(lines[0])
		if !ok {
			return false
		}
		old, rest := takeHunk(lines[1:], before, after)
		at := indexOf(source, old)
		if at < 0 {
			return false
		}
		lines, source = rest, source[at+len(old):]
	}
	return true
}

// takeHunk returns the old lines of a hunk, of which core.CheckPatch has seen that they are all there.
func takeHunk(lines []string, before, after int) (old, rest []string) {
	for len(lines) > 0 && (before > 0 || after > 0 || strings.HasPrefix(lines[0], `\`)) {
		line := lines[0]
		lines = lines[1:]
		switch {
		case strings.HasPrefix(line, "+"):
			after--
		case strings.HasPrefix(line, "-"):
			old, before = append(old, line[1:]), before-1
		case !strings.HasPrefix(line, `\`):
			old, before, after = append(old, strings.TrimPrefix(line, " ")), before-1, after-1
		}
	}
	return old, lines
}

func indexOf(source, part []string) int {
	for at := 0; at+len(part) <= len(source); at++ {
		if slices.Equal(source[at:at+len(part)], part) {
			return at
		}
	}
	return -1
}
