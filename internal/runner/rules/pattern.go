package rules

import (
	"errors"
	stdregexp "regexp"
	"regexp/syntax"

	"github.com/zricethezav/gitleaks/v8/regexp"
)

const (
	maxPattern = 10_000 // bytes of a regular expression
	maxProgram = 50_000 // instructions of a compiled one; the largest built-in rule has 8,000
)

// pattern compiles a regular expression; nil if it has mistakes. The expression itself is in no message: it may be a secret
// that is allowed.
func (e *extender) pattern(key, where, text string) *regexp.Regexp {
	if len(text) > maxPattern {
		e.errorf(key, "%sis longer than %d bytes: write several", where, maxPattern)
		return nil
	}
	compiled, err := stdregexp.Compile(text)
	if wrong := new(syntax.Error); errors.As(err, &wrong) {
		e.errorf(key, "%sis not a regular expression: %s; a glob such as **/docs/* is written (^|/)docs/, and \\ stands before "+
			"a character that is meant as it is", where, wrong.Code)
		return nil
	}
	if instructions(text) > maxProgram {
		e.errorf(key, "%sis a regular expression that is too large: repeat less", where)
		return nil
	}
	if compiled.MatchString("") {
		e.errorf(key, "%smatches the empty text, and so everything: write what must be there", where)
		return nil
	}
	return e.compile(key, where, text)
}

func instructions(text string) int {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// compile compiles for the engine that gitleaks was built with, which panics where it does not understand.
func (e *extender) compile(key, where, text string) (compiled *regexp.Regexp) {
	defer func() {
		if recover() != nil {
			e.errorf(key, "%sis not a regular expression that RE2 understands", where)
		}
	}()
	return regexp.MustCompile(text)
}

// appendPattern adds a regular expression to those of a list, which are joined later: a flag ends with its expression.
func (e *extender) appendPattern(list []*regexp.Regexp, key, where, text string) []*regexp.Regexp {
	if e.pattern(key, where, text) == nil {
		return list
	}
	return append(list, regexp.MustCompile("(?:"+text+")"))
}
