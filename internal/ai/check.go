package ai

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/scanhook/scanhook/core"
)

// minQuote is how many characters, white space apart, a quote needs to prove anything.
const minQuote = 5

// toReviewers finds text that speaks to whoever reviews the code. It is a trip-wire and no wall: who knows it can go
// around it. It also finds honest remarks about false positives, of which a person may as well judge.
var toReviewers = regexp.MustCompile(`(?i)false[ _-]?positive|true[ _-]?positive` +
	`|\bverdict\b|\bprompt\b.{0,40}\binjection|\b(system|user|developer) (prompt|message)\b` +
	`|\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|above|earlier|all|any|other)\b.{0,40}` +
	`\b(instruction|rule|prompt|direction|order|task|text|data)` +
	`|\b(BEGIN|END) DATA\b` +
	`|\b(AI|LLM|GPT|assistant|reviewer)s?\b.{0,60}\b(must|should|shall|please|answer|respond|reply|classify)\b`)

// check holds an opinion against the file. Quotes that are not in it make it unsure, and so does a false positive that
// the code may have asked for; a patch that does not fit is dropped.
func (c Case) check(o core.Opinion) core.Opinion {
	if why := c.objection(o); why != "" {
		return clean(o.Doubt("The AI's verdict does not count: " + why + "."))
	}
	if o.Patch != "" && !fits(o.Patch, c.Finding.File, c.Source) {
		o.Patch = ""
	}
	return clean(o)
}

func (c Case) objection(o core.Opinion) string {
	for _, quote := range o.Evidence {
		quote = oneLineEnding(quote)
		switch {
		case letters(quote) < minQuote:
			return "one of its quotes is too short to prove anything"
		case !strings.Contains(c.Source, quote):
			return "one of its quotes is not in the file"
		}
	}
	if o.Verdict == core.AIFalsePositive && toReviewers.MatchString(c.Finding.File+"\n"+c.excerpt()) {
		return "the code seems to speak to its reviewer, and a person should look"
	}
	return ""
}

// clean leaves only what can be shown to people.
func clean(o core.Opinion) core.Opinion {
	o.Reasoning = visible(o.Reasoning)
	for i, quote := range o.Evidence {
		o.Evidence[i] = visible(quote)
	}
	return o
}

func letters(text string) (n int) {
	for _, r := range text {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
