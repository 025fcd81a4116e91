package reports

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/scanhook/scanhook/core"
)

// maxDecodeDepth is how often encodings (base64, hex, percent) are peeled off, as the gitleaks command does.
const maxDecodeDepth = 5

// SecretRules are the built-in rules. They are loaded once in a process, because the library reads its rules through
// global state and logs, secrets included, through a global logger. The repository's own wishes, its configuration and
// its gitleaks:allow comments, do not count: whoever leaks a secret must not be able to hide it.
var SecretRules = sync.OnceValues(func() (*detect.Detector, error) {
	logging.Logger = zerolog.Nop()
	detector, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("loading the rules of gitleaks: %w", err)
	}
	detector.IgnoreGitleaksAllow = true
	detector.MaxDecodeDepth = maxDecodeDepth
	return detector, nil
})

const (
	credentialMask = "[credential]" // stands for a credential of ours, or of an address
	hidden         = "[hidden]"     // stands for a line of which it is not known where in it the secret is
	minCredential  = 8              // bytes; a shorter one stands in texts by chance
	minPiece       = 4              // bytes; shorter lines of a secret over several lines tell nothing
)

// credentials are those of this process, by what they are replaced with.
var credentials atomic.Pointer[strings.Replacer]

// HideCredentials names the credentials of this process: no text from outside is kept with them in it.
func HideCredentials(secrets ...string) { credentials.Store(replacerOf(secrets)) }

func replacerOf(secrets []string) *strings.Replacer {
	masks := map[string]string{}
	for _, secret := range secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(secret) >= minCredential {
				masks[form] = credentialMask
			}
		}
	}
	return core.LongestFirst(masks)
}

// Words are what a program said, fit to be kept, shown and posted: on one line, without what steers a terminal, without
// secrets, and without the credentials known, which are those of the task at hand.
func Words(text string, known ...string) string {
	text = core.Printable(core.WithoutEscapes(text))
	text = core.LongestFirst(masksOf(known)).Replace(text)
	return strings.Join(strings.Fields(maskSecrets(text)), " ")
}

func masksOf(known []string) map[string]string {
	masks := map[string]string{}
	for _, secret := range known {
		masks[secret] = credentialMask
	}
	delete(masks, "")
	return masks
}

// Redact takes all secrets out of a report, whatever format it came in. A second time changes nothing.
func Redact(of *core.Report) {
	if of.Failure != "" {
		of.Failure = Words(of.Failure)
	}
	r := reportRedactor{secret: map[ruleKey]bool{}, masked: map[string]string{}}
	for i := range of.Findings {
		r.redact(&of.Findings[i])
	}
	var f core.Finding
	for i := range of.Packed.Len() {
		of.Packed.Get(i, &f)
		if r.redact(&f) {
			of.Packed.Put(i, &f)
		}
	}
}

// reportRedactor asks once for all findings of a rule whether they are secrets.
type reportRedactor struct {
	secret map[ruleKey]bool
	masked map[string]string
}

// ruleKey is all that core.Finding.HoldsSecret asks for.
type ruleKey struct{ tool, rule, title, cwe string }

func (r reportRedactor) redact(f *core.Finding) (changed bool) {
	key := ruleKey{f.Tool, f.RuleID, f.Title, f.CWE}
	secret, known := r.secret[key]
	if !known {
		secret = f.HoldsSecret()
		r.secret[key] = secret
	}
	before := *f
	if secret {
		f.HideSecret()
	}
	for _, text := range []*string{&f.Title, &f.Message, &f.Snippet, f.Suppressed} {
		if text != nil && maySecret(*text) {
			masked := r.mask(*text)
			changed = changed || masked != *text
			*text = masked
		}
	}
	return changed || before.Title != f.Title || before.Message != f.Message || before.Snippet != f.Snippet ||
		before.PartialFingerprint != f.PartialFingerprint
}

// maxSearches bounds how many texts of a report the rules search, which takes them about 0.1 ms each. Of the texts
// behind, every word that could be a token is masked.
const maxSearches = 10_000

// mask is maskSecrets, once for equal texts.
func (r reportRedactor) mask(text string) string {
	masked, known := r.masked[text]
	switch {
	case known:
	case len(r.masked) < maxSearches:
		masked = maskSecrets(text)
		r.masked[text] = masked
	default:
		masked = core.MaskGroups(addressed.ReplaceAllString(text, "$1"+credentialMask+"@"), tokenLike)
	}
	return masked
}

const (
	minMixed = 16 // bytes of a word with digits, upper and lower case
	minPlain = 20 // bytes of a word with digits and one case
)

// tokenLike are the words for which maySecret stops, and some more.
var tokenLike = regexp.MustCompile(`\b(\w{16,})`)

// maySecret tells whether a text has a word that could be a token, or an address with a credential. Reports have
// millions of texts, and the rules take long.
func maySecret(text string) bool {
	length, digit, upper, lower := 0, false, false, false
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			digit = true
		case 'a' <= c && c <= 'z':
			lower = true
		case 'A' <= c && c <= 'Z':
			upper = true
		case c == '@' && strings.Contains(text[:i], "://"):
			return true
		default:
			length, digit, upper, lower = 0, false, false, false
			continue
		}
		length++
		if digit && (length >= minMixed && upper && lower || length >= minPlain) {
			return true
		}
	}
	return strings.Contains(text, "-----BEGIN")
}

var (
	// addressed are the user and password in an address.
	addressed = regexp.MustCompile(`(://)[^/\s@'"<>]+@`)
	// asked are the parameters and headers that bear credentials.
	asked = regexp.MustCompile(`(?i)([?&](?:access_token|private_token|job_token|token|api_?key|secret|password|signature|sig)=|` +
		`\bauthorization: *(?:basic|bearer|token) +|\b(?:private-token|job-token|x-api-key): *)[^\s&'"]+`)
)

// Redactor takes the secrets that the built-in rules found in a text out of it.
type Redactor struct {
	masks   *strings.Replacer
	encoded map[int]bool // lines on which a secret stands in encoded form, where it cannot be masked
}

// NewRedactor takes what the rules found in one text, whose lines are numbered from 1.
func NewRedactor(leaks []report.Finding) Redactor {
	masks, encoded := map[string]string{}, map[int]bool{}
	for _, leak := range leaks {
		for piece := range strings.Lines(leak.Secret) {
			if piece = strings.TrimSpace(piece); len(piece) >= minPiece {
				masks[piece] = core.Mask(leak.Secret)
			}
		}
		if leak.Secret != "" {
			masks[leak.Secret] = core.Mask(leak.Secret)
		}
		for line := leak.StartLine; !strings.Contains(leak.Line, leak.Match) && line <= leak.EndLine; line++ {
			encoded[line] = true
		}
	}
	return Redactor{masks: core.LongestFirst(masks), encoded: encoded}
}

// Encoded tells whether a secret stands on a line that cannot be masked in it.
func (r Redactor) Encoded(line int) bool { return r.encoded[line] }

// Line masks the secrets in a line, and what a rule that stops too early leaves of them.
func (r Redactor) Line(line string) string {
	return remainder.ReplaceAllString(r.masks.Replace(line), "$1")
}

// Text masks the secrets in the whole text, and hides the lines on which somebody else found one that the rules do not
// know. The lines keep their numbers.
func (r Redactor) Text(text string, secret map[int]bool) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = r.Line(line)
		if r.encoded[i+1] || secret[i+1] && lines[i] == line && strings.TrimSpace(line) != "" {
			lines[i] = hidden
		}
	}
	return strings.Join(lines, "\n")
}

var remainder = regexp.MustCompile(`[A-Za-z0-9+_-]*(` + core.MaskPrefix + `[0-9a-f]{4})[A-Za-z0-9+_-]*`)

// maskSecrets takes out of a text what is a credential of ours, one of an address or a header, or a secret by the built-in
// rules.
func maskSecrets(text string) string {
	if ours := credentials.Load(); ours != nil {
		text = ours.Replace(text)
	}
	text = addressed.ReplaceAllString(text, "$1"+credentialMask+"@")
	text = asked.ReplaceAllString(text, "$1"+credentialMask)
	return maskByRules(text)
}

func maskByRules(text string) (masked string) {
	defer func() {
		if recover() != nil { // of the library, which knows the text by now
			masked = hidden
		}
	}()
	detector, err := SecretRules()
	if err != nil {
		return hidden
	}
	leaks := detector.DetectContext(context.Background(), detect.Fragment{Raw: text, StartLine: 1}) //nolint:staticcheck // the only type until v9
	return NewRedactor(leaks).Text(text, nil)
}
