package match

import (
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ShapeOf is a digest of an expression by which it is recognised where its line was edited: the same for other white space, quotes,
// line breaks, trailing commas, semicolons and comments, and for variables with other names. Calls, members, words of the language
// and literals count as they are; of a literal only 16 bits, because it can be a secret. In a file of no language whose words are
// known to be variables, all words count as they are. Where nothing else is left, variables
// count as they are, too. It is 0 where too little is left to tell expressions apart, and of code that is too long. The name of the file tells the language.
func ShapeOf(code, file string) uint32 {
	shape, variables := make([]byte, 0, 256), hasVariables(file)
	tokens, all := tokensOf(code, file)
	names, telling := map[string]byte{}, false
	for i, token := range tokens {
		switch {
		case token.kind == wordToken && variables && !isFixed(tokens, i):
			if names[token.text] == 0 {
				names[token.text] = byte(min(len(names)+1, 255))
			}
			shape = append(shape, 1, names[token.text])
		case token.kind == literalToken:
			digest := digestWords(token.text)
			shape, telling = append(shape, 2, byte(digest>>8), byte(digest)), true
		default:
			shape = append(append(shape, 3), token.text...)
			telling = telling || token.kind == wordToken && !slices.Contains(languageWords, token.text)
		}
	}
	switch {
	case !all || len(tokens) < 2:
		return 0
	case !telling:
		return exactShape(tokens)
	}
	return digest32(string(shape))
}

// exactShape is that of an expression of which nothing is left but variables and words of the language: all of them count. It is 0 where
// there are no words.
func exactShape(tokens []token) uint32 {
	var words int
	var text strings.Builder
	for _, token := range tokens {
		if token.kind == wordToken {
			words++
		}
		text.WriteString(token.text + "\x00")
	}
	if words < 2 {
		return 0
	}
	return digest32(text.String())
}

// Continues tells whether an expression goes on in the next line: it has an open bracket. The body of a function that is an argument
// is no part of it.
func Continues(code, file string) bool {
	depth := 0
	tokens, _ := tokensOf(code, file)
	if opensBody(tokens) {
		return false
	}
	for _, token := range tokens {
		switch token.text {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
	}
	return depth > 0
}

// opensBody tells whether code ends where the body of a function begins.
func opensBody(tokens []token) bool {
	last := len(tokens) - 1
	if last < 1 || tokens[last].text != "{" {
		return false
	}
	if before := tokens[last-1].text; before == ")" || before == ">" { // f(x) {, (x) => {
		return true
	}
	return slices.ContainsFunc(tokens, func(t token) bool { return t.text == "func" || t.text == "function" || t.text == "fn" })
}

// languageWords are keywords of common languages. They are no variables, and say little alone.
var languageWords = strings.Fields(`if else elif for foreach while do switch case default return def func function fn var let const new
	delete class struct interface enum import from package use in is not and or try except catch finally throw raise with as await async
	yield lambda True False None null nil true false undefined this self super public private protected static final void go defer range
	break continue pass assert global typeof instanceof sizeof end begin then unless print echo`)

// isFixed tells whether a word is no variable: it is called, a member of another, or a word of the language.
func isFixed(tokens []token, i int) bool {
	called := i+1 < len(tokens) && tokens[i+1].text == "("
	member := i > 0 && slices.Contains([]string{".", "->", "::", "@"}, tokens[i-1].text)
	return called || member || slices.Contains(languageWords, tokens[i].text)
}

type tokenKind uint8

const (
	wordToken tokenKind = iota
	literalToken
	signToken
)

type token struct {
	kind tokenKind
	text string
}

// maxTokens bounds what is looked at of an expression.
const maxTokens = 512

// tokensOf are the words, literals and signs of code, without comments, semicolons, and commas before a closing bracket. It tells
// whether these are all.
func tokensOf(code, file string) (tokens []token, all bool) {
	comments := commentsOf(file)
	for code = comments.cut(code, true); code != "" && len(tokens) < maxTokens; {
		next, size := nextToken(code)
		code = comments.cut(code[size:], strings.Contains(";&|()", next.text))
		switch last := len(tokens) - 1; {
		case next.text == ";":
			continue
		case last >= 0 && tokens[last].text == "," && (next.text == ")" || next.text == "]" || next.text == "}"):
			tokens = tokens[:last]
		}
		tokens = append(tokens, next)
	}
	if last := len(tokens) - 1; last >= 0 && tokens[last].text == "," {
		tokens = tokens[:last]
	}
	return tokens, code == ""
}

func nextToken(code string) (next token, size int) {
	first, size := utf8.DecodeRuneInString(code)
	switch {
	case strings.ContainsRune("\"'`", first):
		return quoted(code)
	case isWordRune(first):
		if size = strings.IndexFunc(code, func(r rune) bool { return !isWordRune(r) }); size < 0 {
			size = len(code)
		}
		kind := wordToken
		if unicode.IsDigit(first) {
			kind = literalToken
		}
		return token{kind, code[:size]}, size
	case strings.HasPrefix(code, "->"), strings.HasPrefix(code, "::"):
		size = 2
	}
	return token{signToken, code[:size]}, size
}

func isWordRune(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// quoted is a literal between quotes of any kind, up to the end of the code where it is not closed.
func quoted(code string) (token, int) {
	quote, text := code[0], strings.Builder{}
	for i := 1; i < len(code); i++ {
		switch c := code[i]; {
		case c == quote:
			return token{literalToken, "'" + text.String()}, i + 1
		case c == '\\' && i+1 < len(code):
			i++
			if !strings.ContainsRune("\"'`", rune(code[i])) {
				text.WriteByte('\\')
			}
			text.WriteByte(code[i])
		default:
			text.WriteByte(c)
		}
	}
	return token{literalToken, "'" + text.String()}, len(code)
}

// comments are those of a language.
type comments struct {
	marks   []string // that begin one which goes on to the end of the line
	atWords bool     // a mark counts only where a word could begin
}

func commentsOf(file string) comments {
	switch strings.ToLower(path.Ext(file)) {
	case ".sh", ".bash", ".yml", ".yaml", ".pl", ".pm", ".ps1":
		return comments{[]string{"#"}, true}
	case ".py", ".pyi", ".rb", ".toml", ".r", ".ex", ".exs", ".nix":
		return comments{[]string{"#"}, false}
	case ".sql", ".lua", ".hs":
		return comments{[]string{"--"}, false}
	case ".tf", ".hcl", ".php":
		return comments{[]string{"#", "//"}, false}
	}
	if hasVariables(file) {
		return comments{[]string{"//"}, false}
	}
	return comments{}
}

// withVariables are the extensions of languages in which a word that is no keyword, call or member is a variable. In files for
// configuration, scripts for a shell, and those of unknown languages it can be a value.
var withVariables = strings.Fields(`.py .pyi .rb .pl .pm .r .ex .exs .lua .hs .php .go .js .jsx .mjs .cjs .ts .tsx .mts .cts .vue .svelte .java .kt .kts
	.scala .groovy .c .h .cc .cpp .cxx .hh .hpp .hxx .cs .fs .m .mm .swift .rs .dart .sol .zig .v`)

func hasVariables(file string) bool {
	return slices.Contains(withVariables, strings.ToLower(path.Ext(file)))
}

// cut removes white space and comments from the beginning, before which there is nothing or a token.
func (c comments) cut(code string, atBegin bool) string {
	for {
		rest := strings.TrimLeftFunc(code, unicode.IsSpace)
		atBegin, code = atBegin || len(rest) < len(code), rest
		begins := func(mark string) bool { return strings.HasPrefix(code, mark) }
		switch {
		case (atBegin || !c.atWords) && slices.ContainsFunc(c.marks, begins):
			_, code, _ = strings.Cut(code, "\n")
			atBegin = true
		case slices.Contains(c.marks, "//") && begins("/*"):
			_, code, _ = strings.Cut(code, "*/")
		default:
			return code
		}
	}
}
