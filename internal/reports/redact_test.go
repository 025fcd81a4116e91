package reports_test

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

const (
	planted = "sw0rdfish-plain" // nothing that a rule could know
	token   = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
	keyLine = "MIIEpAIBAAKCAQEA7bq0x3v9" + "Zk1Qm8Yw2Rt5Us6Vn4Xo7Pj0Lh3Gd9Fc1"
)

// secretReports each report the planted secret, in code and in words, by a rule that reports secrets.
var secretReports = map[string]string{
	"SARIF": `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"semgrep"}},"results":[{"ruleId":"hardcoded-token",
		"message":{"text":"'%[1]s' is hard-coded"},"partialFingerprints":{"a":"%[1]s"},
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.py"},"region":{"startLine":1,"snippet":{"text":"t = \"%[1]s\""}}}}]}]}]}`,
	"SARIF by tag": `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"Trivy","rules":[{"id":"odd","properties":{"tags":["secret","HIGH"]}}]}},
		"results":[{"ruleId":"odd","ruleIndex":0,"message":{"text":"Match: KEY=%[1]s"},
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a"},"region":{"startLine":1,"snippet":{"text":"KEY=%[1]s"}}}}]}]}]}`,
	"our JSON": `{"tool":"t","findings":[{"rule_id":"leaked-password","severity":"high","file":"a","line":1,
		"title":"password '%[1]s'","message":"password: %[1]s","snippet":"password: %[1]s"}]}`,
	"semgrep": `{"version":"1","results":[{"check_id":"hardcoded-token","path":"a","start":{"line":1},"end":{"line":1},
		"extra":{"message":"token '%[1]s'","severity":"ERROR","lines":"t = '%[1]s'"}}],"errors":[],"paths":{}}`,
	"gitleaks": `[{"RuleID":"r","Description":"A secret","File":"a","StartLine":1,"Secret":"%[1]s","Match":"x=%[1]s","Fingerprint":"f"}]`,
	"Trivy": `{"SchemaVersion":2,"ArtifactName":"x","Results":[{"Target":"a","Class":"secret","Secrets":[{"RuleID":"r",
		"Severity":"HIGH","Title":"A secret","StartLine":1,"EndLine":1,"Match":"x=%[1]s"}]}]}`,
	"gosec": `{"Issues":[{"severity":"HIGH","rule_id":"G101","details":"Potential hardcoded credentials: \"%[1]s\"","file":"a.go",
		"code":"1: p := \"%[1]s\"\n","line":"1"}],"Stats":{},"GosecVersion":"2"}`,
	"GitLab": `{"version":"15.0.0","scan":{"type":"secret_detection","scanner":{"name":"Gitleaks"}},"vulnerabilities":[{"category":"secret_detection",
		"name":"Password","description":"password '%[1]s' was found","severity":"Critical","location":{"file":"a","start_line":1},
		"raw_source_code_extract":"%[1]s","scanner":{"id":"gitleaks","name":"Gitleaks"},
		"identifiers":[{"type":"gitleaks_rule_id","name":"r","value":"Password"}]}]}`,
	"Checkov": `{"check_type":"secrets","results":{"failed_checks":[{"check_id":"CKV_SECRET_6","check_name":"Base64 High Entropy String",
		"code_block":[[1,"k = %[1]s\n"]],"file_path":"/a","file_line_range":[1,1],"resource":"%[1]s"}]}}`,
	"Bandit": `{"errors":[],"generated_at":"x","metrics":{},"results":[{"code":"1 p = '%[1]s'\n","filename":"./a.py","issue_severity":"LOW",
		"issue_confidence":"MEDIUM","issue_text":"Possible hardcoded password: '%[1]s'","line_number":1,"line_range":[1],
		"test_id":"B105","test_name":"hardcoded_password_string"}]}`,
}

var parsers = map[string]func(io.Reader, reports.Limits) (core.Report, error){
	"parsed": reports.Parse, "packed": reportstest.Packed,
}

func TestParseKeepsNoSecret(t *testing.T) {
	t.Parallel()
	for name, text := range secretReports {
		for how, parse := range parsers {
			report, err := parse(strings.NewReader(fmt.Sprintf(text, planted)), reports.Limits{})
			if err != nil || report.Len() != 1 {
				t.Errorf("%s, %s: want a finding, got %d, %v", name, how, report.Len(), err)
				continue
			}
			if found := report.At(0, new(core.Finding)); strings.Contains(textsOf(found), "sw0rd") {
				t.Errorf("%s, %s keeps the secret: %+v", name, how, found)
			}
		}
	}
}

// Checkov names a secret by its digest, by which a guess could be tested.
func TestParseKeepsNoDigestOfASecret(t *testing.T) {
	t.Parallel()
	const digest = "f3bbbd66a63d4bf1747940578ec3d0103530e21d"
	text := fmt.Sprintf(secretReports["Checkov"], digest)
	for how, parse := range parsers {
		report, err := parse(strings.NewReader(text), reports.Limits{})
		if err != nil || report.Len() != 1 {
			t.Fatalf("%s: %d, %v", how, report.Len(), err)
		}
		f := report.At(0, new(core.Finding))
		if all := textsOf(f) + f.About.Resource; strings.Contains(all, digest[:8]) || f.About.Resource == "" {
			t.Errorf("%s: %+v", how, f)
		}
	}
}

// What the built-in rules know is masked in findings of every kind, and in the words of scanners.
func TestParseMasksWhatTheRulesKnow(t *testing.T) {
	t.Parallel()
	const text = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"codeql"}},
		"invocations":[{"executionSuccessful":false,"exitCodeDescription":"login with %[1]s failed\u001b[31m"}],
		"results":[{"ruleId":"sql","message":{"text":"query with %[1]s"},"suppressions":[{"kind":"external","justification":"%[1]s"}],
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a"},"region":{"startLine":1,"snippet":{"text":"q(\"%[1]s\")\u202e"}}}}]}]}]}`
	for how, parse := range parsers {
		report, err := parse(strings.NewReader(fmt.Sprintf(text, token)), reports.Limits{})
		if err != nil || report.Len() != 1 {
			t.Fatalf("%s: %d, %v", how, report.Len(), err)
		}
		f := report.At(0, new(core.Finding))
		all := textsOf(f) + report.Failure
		if strings.Contains(all, token[:12]) || strings.ContainsAny(all, "\x1b\u202e") {
			t.Errorf("%s: %s, %+v", how, report.Failure, f)
		}
		if want := "q(\"" + (secrets.Key{}).Mask(token) + "\")\uFFFD"; f.Snippet != want {
			t.Errorf("%s: want %q, got %q", how, want, f.Snippet)
		}
	}
}

// Nothing of a secret is left where the text that has it is too long: the rules know it as a whole only.
func TestDetailsKeepNoBeginningOfASecret(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"SARIF": `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"codeql"}},"results":[{"ruleId":"sql","message":{"text":"m","markdown":"%[2]s"},
			"relatedLocations":[{"message":{"text":"%[1]s"},"physicalLocation":{"artifactLocation":{"uri":"a"},"region":{"startLine":1,"snippet":{"text":"%[1]s"}}}}]}]}]}`,
		"semgrep": `{"version":"1","results":[{"check_id":"sql","path":"a","start":{"line":1},"end":{"line":1},"extra":{"message":"m","severity":"ERROR",
			"lines":"x","dataflow_trace":{"taint_sink":["CliLoc",[{"path":"a","start":{"line":1},"end":{"line":2}},"%[1]s"]]}}}],"errors":[],"paths":{}}`,
	} {
		for what, end := range map[string]string{
			"token": token, "key": `-----BEGIN RSA PRIVATE KEY-----` + strings.Repeat(`\n`+keyLine, 30) + `\n-----END RSA PRIVATE KEY-----`,
		} {
			room := map[string]int{"token": 12, "key": 400}[what]
			short, long := strings.Repeat("word ", (details.MaxNote-room)/5), strings.Repeat("word ", (details.MaxText-room)/5)
			report, err := reports.Parse(strings.NewReader(fmt.Sprintf(document, short+end, long+end)), reports.Limits{})
			if err != nil || report.Len() != 1 {
				t.Fatal(name, what, report.Len(), err)
			}
			if packed := report.Findings[0].Details; !strings.Contains(packed, "word") || strings.Contains(packed, token[:6]) || strings.Contains(packed, keyLine[:20]) {
				t.Errorf("%s keeps a part of a %s: %.3000s", name, what, packed)
			}
		}
	}
}

// Details take nothing of what the rules may search for findings: these are masked as without, and stay the same findings.
func TestDetailsChangeNoFinding(t *testing.T) {
	t.Parallel()
	var texts []details.Place
	for i := range 5 {
		texts = append(texts, details.Place{Message: fmt.Sprintf("%s%d", token, i)})
	}
	var got [2]core.Finding
	for i, packed := range []string{"", details.Pack(details.Details{Related: texts})} {
		report := core.Report{Findings: []core.Finding{
			{Tool: "t", RuleID: "sql", Message: "m", Details: packed}, {Tool: "t", RuleID: "sql", Snippet: "aFunctionWithALongName(\"" + token + "\")"},
		}}
		reports.RedactWithin(&report, secrets.NewKey([secrets.KeySize]byte{1}), 2)
		got[i] = report.Findings[1]
		if strings.Contains(report.Findings[0].Details+got[i].Snippet, token[:12]) || report.Findings[0].Former != "" {
			t.Errorf("a secret is left: %+v", report.Findings)
		}
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" || !strings.Contains(got[0].Snippet, "aFunctionWithALongName") {
		t.Error(got[0].Snippet, diff)
	}
}

// twin is a text like the planted one, whose mask was the same while masks had no key.
func twin() string {
	want := secrets.Keyless.Mask(planted)
	for n := 0; ; n++ {
		text := fmt.Sprintf("sw0rdfish-%d", n)
		same := secrets.Keyless.Mask(text) == want
		for _, line := range []string{"t = '%s'", "t = \"%s\"", "x=%s"} { // which are masked as a whole
			same = same || secrets.Keyless.Mask(fmt.Sprintf(line, text)) == secrets.Keyless.Mask(fmt.Sprintf(line, planted))
		}
		if same {
			return text
		}
	}
}

// No dummy stands for a secret, in whichever format it is reported; the same secret is the same finding, also where it was found
// while masks had no key.
func TestReportsTellSecretsApart(t *testing.T) {
	t.Parallel()
	key, theirs, dummy := secrets.NewKey([secrets.KeySize]byte{1}), secrets.NewKey([secrets.KeySize]byte{2}), twin()
	for name, text := range secretReports {
		for how, parse := range parsers {
			read := func(secret string, key secrets.Key) []core.Finding {
				report, err := parse(strings.NewReader(fmt.Sprintf(text, secret)), reports.Limits{Key: key})
				if err != nil || report.Len() != 1 {
					t.Fatalf("%s, %s: want a finding, got %d, %v", name, how, report.Len(), err)
				}
				var f core.Finding
				return []core.Finding{*report.At(0, &f)}
			}
			against := func(before, now []core.Finding) core.BaselineState {
				match.Compare(before, match.Previous{})
				f := before[0]
				match.Compare(now, match.Previous{Baseline: match.BaselineOf(match.BaselineFinding{
					Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line, SecretHash: f.SecretHash,
				})})
				return now[0].BaselineState
			}
			if state := against(read(dummy, key), read(planted, key)); state != core.New {
				t.Errorf("%s, %s: want a secret new behind the mask of a dummy, got %s", name, how, state)
			}
			if state := against(read(planted, key), read(planted, key)); state != core.Unchanged {
				t.Errorf("%s, %s: want the same secret known, got %s", name, how, state)
			}
			if state := against(read(planted, secrets.Keyless), read(planted, key)); state != core.Unchanged {
				t.Errorf("%s, %s: want what was found before there were keys known, got %s", name, how, state)
			}
			if one, other := read(planted, key)[0], read(planted, theirs)[0]; one.SecretHash == "" || one.SecretHash == other.SecretHash ||
				secrets.MaskIn(textsOf(&one)) == secrets.MaskIn(textsOf(&other)) {
				t.Errorf("%s, %s: want two installations to have different masks and hashes, got\n%+v\n%+v", name, how, one, other)
			}
		}
	}
}

// What is masked in other findings changes nothing either.
func TestFindingsBesideSecretsStayKnown(t *testing.T) {
	t.Parallel()
	read := func(key secrets.Key) []core.Finding {
		report := core.Report{Findings: []core.Finding{{Tool: "t", RuleID: "sql", File: "a.go", Line: 3, Snippet: "q(\"" + token + "\")"}}}
		reports.Redact(&report, key)
		return report.Findings
	}
	before, now := read(secrets.Keyless), read(secrets.NewKey([secrets.KeySize]byte{1}))
	match.Compare(before, match.Previous{})
	match.Compare(now, match.Previous{Baseline: match.BaselineOf(match.BaselineFinding{
		Fingerprint: before[0].Fingerprint, Anchor: before[0].Anchor, File: "a.go", Line: 5,
	})})
	if f := now[0]; f.BaselineState != core.Unchanged || f.Snippet == before[0].Snippet || f.SecretHash != "" {
		t.Errorf("want it known with another mask, got %+v", f)
	}
}

func TestRedactText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"it broke\n\tat line 3 ":                                       "it broke at line 3",
		"\x1b[31mfatal:\x1b[0m\r\nno\x00 \u202ewhat\x1b]0;t\x07":       "fatal: no\uFFFD \uFFFDwhat",
		"token " + token + " is bad":                                   "token <mask> is bad",
		"clone https://ada:" + planted + "@git.example.com/a.git":      "clone https://[credential]@git.example.com/a.git",
		"clone https://" + planted + "@git.example.com/a.git":          "clone https://[credential]@git.example.com/a.git",
		"GET /api?a=1&private_token=" + planted + "&b=2":               "GET /api?a=1&private_token=[credential]&b=2",
		"Authorization: Bearer " + planted + ", Private-Token: abc1":   "Authorization: Bearer [credential] Private-Token: [credential]",
		"mine is s3cr3t-of-job":                                        "mine is [credential]",
		"write to ada@example.com, see https://example.com/@ada":       "write to ada@example.com, see https://example.com/@ada",
		"-----BEGIN RSA PRIVATE KEY-----\n" + keyLine + "\n" + keyLine: "-----BEGIN RSA PRIVATE KEY-----[hidden]",
		"-----BEGIN PRIVATE KEY----- begins /usr/share/keys/a-key.pem": "-----BEGIN PRIVATE KEY----- begins /usr/share/keys/a-key.pem",
		"": "",
	} {
		got := reports.RedactText(text, "s3cr3t-of-job", "")
		only := regexp.MustCompile(secrets.MaskPattern).ReplaceAllString(got, "<mask>")
		if only != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
		if again := reports.RedactText(got); again != got {
			t.Errorf("%q: again %q", got, again)
		}
	}
}

func TestHideCredentials(t *testing.T) {
	reports.HideCredentials("a-webhook/secret", "short")
	defer reports.HideCredentials()
	const want = "it said: [credential] and [credential], short"
	if got := reports.RedactText("it said: a-webhook/secret and a-webhook%2Fsecret, short"); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func textsOf(f *core.Finding) string {
	texts := []string{f.RuleID, f.Title, f.Message, f.Snippet, f.PartialFingerprint}
	if f.Suppressed != nil {
		texts = append(texts, *f.Suppressed)
	}
	return strings.Join(texts, "\n")
}
