package strictyaml

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	goyaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// syntaxProblem says in a sentence why data is not YAML. The message of our parser is often obscure and names a line far
// from the cause, so a second parser is asked, which knows the place. No message holds a value: it may be a secret.
func syntaxProblem(data []byte, cause error) *Problem {
	if problem := tabProblem(data); problem != nil {
		return problem
	}
	if failure := secondOpinion(data); failure != nil && failure.Token != nil && failure.Token.Position != nil {
		if sentence := explainSyntax(failure); sentence != "" {
			at := failure.Token.Position
			return &Problem{max(at.Line, 1), max(at.Column, 1), "", "not valid YAML: " + sentence}
		}
	}
	return firstOpinion(cause)
}

// tabProblem finds the first line that is indented with a tab.
func tabProblem(data []byte) *Problem {
	for i, line := range strings.Split(string(data), "\n") {
		text := strings.TrimLeft(line, " \t")
		indentation := line[:len(line)-len(text)]
		if tab := strings.IndexByte(indentation, '\t'); tab >= 0 && text != "" && text[0] != '#' {
			return &Problem{i + 1, tab + 1, "", "not valid YAML: the line is indented with a tab: write spaces instead"}
		}
	}
	return nil
}

func secondOpinion(data []byte) (failure *goyaml.SyntaxError) {
	defer func() {
		if recover() != nil { // it is made for mistakes of people, and may panic on other input
			failure = nil
		}
	}()
	_, err := parser.ParseBytes(data, 0)
	errors.As(err, &failure)
	return failure
}

const needsQuotes = "put quotation marks around the value here"

// sentences are for the beginnings, ends or parts of what the second parser says.
var sentences = []struct{ says, sentence string }{
	{"could not find end character of", "the quotation mark here is never closed"},
	{"could not find flow mapping end token", "the { here is never closed: write } at its end"},
	{"could not find flow sequence end token", "the [ here is never closed: write ] at its end"},
	{"character corresponding to", "the bracket here closes none: remove it, or put quotation marks around the value"},
	{"is a reserved character", needsQuotes + ", which begins with a character that YAML reserves"},
	{"unexpected scalar value type", needsQuotes + ", if it begins with an asterisk"},
	{"found unknown escape character", `the \ here means nothing within ": write two, or use ' instead`},
	{"unexpected key name", "this line is no key with a value: write key: value, with a space behind the colon"},
	{"mapping value is not allowed", "the value here goes on with another key: quote it if it holds a colon, " +
		"else indent the next line like this one"},
	{"map key-value is pre-defined", "something follows the quotation mark that closes a value, or one stands within it"},
	{"value is not allowed in this context", "this does not belong here: indent it like the keys beside it, " +
		"and remove brackets that close none"},
}

func explainSyntax(failure *goyaml.SyntaxError) string {
	if strings.Contains(failure.Message, "must be specified") || strings.Contains(failure.Message, "flow map content") {
		return unclosed(failure.Token)
	}
	for _, s := range sentences {
		if strings.Contains(failure.Message, s.says) {
			return s.sentence
		}
	}
	return ""
}

// unclosed names the bracket that is open where at stands.
func unclosed(at *token.Token) string {
	depth := 0
	for ; at != nil; at = at.Prev {
		switch at.Type {
		case token.MappingEndType, token.SequenceEndType:
			depth++
		case token.MappingStartType, token.SequenceStartType:
			if depth--; depth < 0 {
				return fmt.Sprintf("the %s of line %d, column %d is not closed before this, or a comma is missing",
					at.Value, at.Position.Line, at.Position.Column)
			}
		}
	}
	return ""
}

var yamlMessage = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// firstOpinion rewrites what our own parser says. It gives the line only inside its text, and quotes the name of an
// unknown anchor, which is a secret when somebody forgot the quotation marks around one that starts with an asterisk.
func firstOpinion(cause error) *Problem {
	problem := &Problem{Line: 1, Column: 1, Message: "not valid YAML"}
	match := yamlMessage.FindStringSubmatch(cause.Error())
	if match == nil {
		return problem
	}
	if line, err := strconv.Atoi(match[1]); err == nil {
		problem.Line = max(line, 1)
	}
	switch text := match[2]; {
	case strings.Contains(text, "anchor"):
		problem.Message += ": put quotation marks around values that begin with * or &"
	case strings.Contains(text, "',' or"):
		problem.Message += ": a bracket that opens near this line is not closed, or a comma is missing behind it"
	default:
		problem.Message += ": " + quoted.ReplaceAllString(text, "'…'")
	}
	return problem
}

var quoted = regexp.MustCompile(`(?s)['"\x60].*['"\x60]`)
