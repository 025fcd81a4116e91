package reports

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/secrets"
)

const (
	maxDecodeDepth = 5      // encodings (base64, hex, percent) that are removed one after the other, as the gitleaks command does
	maxSearches    = 10_000 // texts of a report that the rules search, which takes them about 0.1 ms each

	minCredential = 8  // bytes of a credential; a shorter one occurs in texts by chance
	minPiece      = 4  // bytes of a line of a secret over several lines; a shorter one may be ordinary text
	minMixed      = 16 // bytes of a token with digits, upper and lower case
	minPlain      = 20 // bytes of a token with digits and one case

	credentialMask = "[credential]" // replaces a credential of this process, or of an address
	hidden         = "[hidden]"     // replaces a line where the place of the secret is not known
)

var (
	// tokenLike are the words that maySecret looks for, and some more.
	tokenLike = regexp.MustCompile(`\b(\w{16,})`)
	// addressed are the user and password in an address.
	addressed = regexp.MustCompile(`(://)[^/\s@'"<>]+@`)
	// requested are the parameters and headers that carry credentials.
	requested = regexp.MustCompile(`(?i)([?&](?:access_token|private_token|job_token|token|api_?key|secret|password|signature|sig)=|` +
		`\bauthorization: *(?:basic|bearer|token) +|\b(?:private-token|job-token|x-api-key): *)[^\s&'"]+`)
)

// credentials replaces those of this process.
var credentials atomic.Pointer[strings.Replacer]

// HideCredentials names the credentials of this process. They are redacted in every text from outside.
func HideCredentials(texts ...string) { credentials.Store(replacerOf(texts)) }

func replacerOf(texts []string) *strings.Replacer {
	masks := map[string]string{}
	for _, secret := range texts {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(secret) >= minCredential {
				masks[form] = credentialMask
			}
		}
	}
	return secrets.Replacer(masks)
}

// Redact removes all secrets from a report, whatever its format, and tells them apart by the key. Whether a finding is about a secret
// is decided by secrets.In alone. Redacting twice changes nothing.
func Redact(of *core.Report, key secrets.Key) {
	if of.Failure != "" {
		of.Failure = RedactText(of.Failure)
	}
	redactWithin(of, key, maxSearches)
}

func redactWithin(of *core.Report, key secrets.Key, searches int) {
	r, former, besides := newReportRedactor(key, searches), newReportRedactor(secrets.Keyless, searches), newReportRedactor(key, searches)
	r.former, r.besides = &former, &besides
	of.Each(r.redact)
	for rule, help := range of.Help {
		if mayNeedMask(help) {
			h, err := details.UnpackHelp(help)
			h.Text, h.Markdown = besides.mask(h.Text), besides.mask(h.Markdown)
			if of.Help[rule] = details.PackHelp(h); err != nil { // none of ours
				delete(of.Help, rule)
			}
		}
	}
}

// mayNeedMask tells whether packed details may hold a secret. What packing adds and escapes does not hide what the built-in rules look for.
func mayNeedMask(packed string) bool { return maySecret(packed) || masking.Load() != nil }

// maskDetails masks what a report says of a finding besides. Of a secret's code it keeps nothing.
func (r reportRedactor) maskDetails(packed string, secret bool) string {
	if packed == "" || !secret && !mayNeedMask(packed) {
		return packed
	}
	return details.Edit(packed, func(d *details.Details) {
		if secret {
			d.WithoutCode()
		}
		d.EachText(func(text *string) {
			if maySecret(*text) {
				*text = r.mask(*text)
			}
		})
	})
}

// reportRedactor decides once for all findings of a rule whether they are secrets.
type reportRedactor struct {
	key      secrets.Key
	searches int // texts that the rules search
	secret   map[ruleKey]bool
	masked   map[string]string
	former   *reportRedactor // which masks as was done while masks had no key; nil of itself
	besides  *reportRedactor // which masks details, so that they take nothing from what verdicts depend on; nil of itself
}

func newReportRedactor(key secrets.Key, searches int) reportRedactor {
	return reportRedactor{key: key, searches: searches, secret: map[ruleKey]bool{}, masked: map[string]string{}}
}

// ruleKey is all that secrets.In looks at.
type ruleKey struct{ tool, rule, title, cwe string }

func (r reportRedactor) redact(f *core.Finding) (changed bool) {
	key := ruleKey{f.Tool, f.RuleID, f.Title, f.CWE}
	secret, known := r.secret[key]
	if !known {
		secret = secrets.In(f)
		r.secret[key] = secret
	}
	before := *f
	if secret {
		r.key.MaskFinding(f)
	}
	f.Secret = ""
	for _, text := range []*string{&f.Title, &f.Message, &f.Snippet, f.Suppressed} {
		if text != nil && maySecret(*text) {
			masked := r.mask(*text)
			changed = changed || masked != *text
			*text = masked
		}
	}
	changed = changed || before.Title != f.Title || before.Message != f.Message || before.Snippet != f.Snippet ||
		before.PartialFingerprint != f.PartialFingerprint || before.About != f.About
	if changed && r.former != nil {
		r.recall(before, f)
	}
	if r.besides != nil {
		f.Details = r.besides.maskDetails(f.Details, secret)
	}
	return changed || before.SecretHash != f.SecretHash || before.Details != f.Details
}

// recall keeps what a finding was while masks had no key, where that is something else.
func (r reportRedactor) recall(before core.Finding, f *core.Finding) {
	if before.Suppressed != nil { // f has the text
		before.Suppressed = new(*before.Suppressed)
	}
	r.former.redact(&before)
	f.SetFormer(&before)
}

// mask is maskSecrets, once for equal texts. After so many texts as the rules search it masks every word that could be a token instead.
func (r reportRedactor) mask(text string) string {
	masked, known := r.masked[text]
	switch {
	case known:
	case len(r.masked) < r.searches:
		masked = maskSecrets(text, r.key)
		r.masked[text] = masked
	default:
		masked = withoutCutKey(r.key.MaskGroups(addressed.ReplaceAllString(text, "$1"+credentialMask+"@"), tokenLike))
	}
	return masked
}

// maySecret tells whether a text has a word that could be a token, or an address with a credential, or what an added rule asks for. It saves most of the
// millions of texts of a report from the rules, which are slow.
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
	return strings.Contains(text, "-----BEGIN") || addedMay(text)
}

// ofProcess masks texts that nobody compares with those of another process.
var ofProcess = sync.OnceValue(func() secrets.Key {
	var random [secrets.KeySize]byte
	_, _ = rand.Read(random[:]) // which never fails
	return secrets.NewKey(random)
})

// RedactText makes what a program said fit to be stored, shown and posted: on one line, without terminal escapes, without
// secrets, and without the credentials that are given, those of the task at hand.
func RedactText(text string, known ...string) string {
	text = core.Printable(core.WithoutEscapes(text))
	text = secrets.Replacer(masksOf(known)).Replace(text)
	return strings.Join(strings.Fields(maskSecrets(text, ofProcess())), " ")
}

func masksOf(known []string) map[string]string {
	masks := map[string]string{}
	for _, secret := range known {
		masks[secret] = credentialMask
	}
	delete(masks, "")
	return masks
}

// maskSecrets masks the credentials of this process, those in addresses and headers, and what the built-in rules know.
func maskSecrets(text string, key secrets.Key) string {
	if ours := credentials.Load(); ours != nil {
		text = ours.Replace(text)
	}
	text = addressed.ReplaceAllString(text, "$1"+credentialMask+"@")
	text = requested.ReplaceAllString(text, "$1"+credentialMask)
	return withoutCutKey(maskByRules(text, key))
}

// keyBegins is the head of a private key, with some of it.
var keyBegins = regexp.MustCompile(`(?is)(-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----).{0,300}?[a-z0-9+/]{32}`)

// withoutCutKey hides the beginning of a private key whose end was cut off, by which the rules would know it.
func withoutCutKey(text string) string {
	if at := keyBegins.FindStringSubmatchIndex(text); at != nil {
		return text[:at[3]] + hidden
	}
	return text
}

func maskByRules(text string, key secrets.Key) (masked string) {
	defer func() {
		if recover() != nil { // a panic of the library, whose message may hold the text
			masked = hidden
		}
	}()
	rules, err := Masking()
	if err != nil {
		return hidden
	}
	leaks := rules.DetectContext(context.Background(), detect.Fragment{Raw: text, StartLine: 1}) //nolint:staticcheck // the only type until v9
	return NewRedactor(leaks, key).Text(text, nil)
}

// SecretRules are the built-in rules. They are loaded once in a process, because the library reads its rules through
// global state and logs, secrets included, through a global logger. Configuration files and gitleaks:allow comments of the
// repository are ignored: the author of a leak must not be able to hide it.
var SecretRules = sync.OnceValues(func() (*detect.Detector, error) {
	logging.Logger = zerolog.Nop()
	detector, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, fmt.Errorf("loading the rules of gitleaks: %w", err)
	}
	return strict(detector), nil
})

// NewDetector searches by other rules as SecretRules does.
func NewDetector(rules config.Config) *detect.Detector { return strict(detect.NewDetector(rules)) }

func strict(detector *detect.Detector) *detect.Detector {
	detector.IgnoreGitleaksAllow = true
	detector.MaxDecodeDepth = maxDecodeDepth
	return detector
}

// masking are the rules that texts are masked by, where they are not the built-in ones alone.
var masking atomic.Pointer[maskingRules]

type maskingRules struct {
	detector *detect.Detector
	keywords []string // of the rules that are added: texts without them need no search
	always   bool     // an added rule has no keywords
}

// MaskBy masks by other rules from now on, the added ones and those that are built in. Added rules are last.
func MaskBy(rules config.Config, added []config.Rule) {
	if len(added) == 0 {
		masking.Store(nil)
		return
	}
	by := &maskingRules{detector: NewDetector(rules)}
	for _, rule := range added {
		by.keywords = append(by.keywords, rule.Keywords...)
		by.always = by.always || len(rule.Keywords) == 0
	}
	masking.Store(by)
}

// Masking are the rules that texts are masked by.
func Masking() (*detect.Detector, error) {
	if by := masking.Load(); by != nil {
		return by.detector, nil
	}
	return SecretRules()
}

// addedMay tells whether an added rule can find something in a text.
func addedMay(text string) bool {
	by := masking.Load()
	if by == nil || by.always {
		return by != nil
	}
	text = strings.ToLower(text)
	return slices.ContainsFunc(by.keywords, func(word string) bool { return strings.Contains(text, word) })
}

// Redactor masks the secrets that the built-in rules found in a text.
type Redactor struct {
	masks   *strings.Replacer
	encoded map[int]bool // lines with a secret in encoded form, which cannot be masked
}

// NewRedactor takes what the rules found in one text. Its lines are numbered from 1.
func NewRedactor(leaks []report.Finding, key secrets.Key) Redactor {
	masks, encoded := map[string]string{}, map[int]bool{}
	for _, leak := range leaks {
		for piece := range strings.Lines(leak.Secret) {
			if piece = strings.TrimSpace(piece); len(piece) >= minPiece {
				masks[piece] = key.Mask(leak.Secret)
			}
		}
		if leak.Secret != "" {
			masks[leak.Secret] = key.Mask(leak.Secret)
		}
		for line := leak.StartLine; !strings.Contains(leak.Line, leak.Match) && line <= leak.EndLine; line++ {
			encoded[line] = true
		}
	}
	return Redactor{masks: secrets.Replacer(masks), encoded: encoded}
}

// Encoded tells whether a line has a secret in encoded form, which cannot be masked.
func (r Redactor) Encoded(line int) bool { return r.encoded[line] }

// Line masks the secrets in a line, and the rest of a secret where a rule matched only a part of it.
func (r Redactor) Line(line string) string {
	return remainder.ReplaceAllString(r.masks.Replace(line), "$1")
}

// Text masks the secrets in the whole text, and hides the lines on which another scanner found one that the rules do not
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

var remainder = regexp.MustCompile(`[A-Za-z0-9+_-]*(` + secrets.MaskPattern + `)[A-Za-z0-9+_-]*`)
