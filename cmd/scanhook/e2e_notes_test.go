package main

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// comment waits until the request has one comment of the bot, which is as wanted.
func (f *forked) comment(t *testing.T, what string, wanted func(text string) bool) fakeforge.Comment {
	t.Helper()
	return eventually(t, what, func() (fakeforge.Comment, bool) {
		var ours []fakeforge.Comment
		for _, comment := range f.platform.Comments("acme/shop", 7) {
			if comment.Author == fakeforge.Bot.Login {
				ours = append(ours, comment)
			}
		}
		if len(ours) > 1 {
			t.Fatalf("the request has %d comments: %+v", len(ours), ours)
		}
		if len(ours) == 0 {
			return fakeforge.Comment{}, false
		}
		return ours[0], wanted(ours[0].Body)
	})
}

func says(sentences ...string) func(string) bool {
	return func(text string) bool {
		for _, sentence := range sentences {
			if !strings.Contains(text, sentence) {
				return false
			}
		}
		return true
	}
}

const notesOn = `
defaults: {comment: note}
web: {public: true}
repositories: [{match: "**"}]`

// A request has one comment, which follows its head and what people say of the findings, whatever is done to it.
func TestRequestsHaveOneCommentWithTheLastTruth(t *testing.T) {
	t.Parallel()
	onForks(t, notesOn, func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		pushTo(t, f.sandbox, "main", "", sample.Head)
		finalOf(t, f.sandbox, sample.Head)
		first := f.open(t, "key.txt", secretText)
		made := f.comment(t, "a comment that tells of the first commit", says("failed", "1 new (1 ", "`key.txt:1`", "/scans/", first[:7]))
		f.platform.AddComment("acme/shop", 7, "mallory", "> "+made.Body) // a quotation has the marker, too
		second := f.commit(t, "readme.txt", "nothing\n")
		f.pipeline(t, second)
		f.tell(t, "synchronize", head(second))
		later := f.comment(t, "the comment to follow the head", says("1 new (1 ", second[:7]))
		if later.ID != made.ID {
			t.Errorf("comment %d became %d", made.ID, later.ID)
		}
		var findings struct {
			Items []struct {
				ID   int64
				File string
			}
		}
		scans := scansOf(t, f.sandbox, second)
		ask(t, f.sandbox, http.MethodGet, "/api/v1/scans/"+scans[0].Ref+"/findings?baseline_state=new", "", &findings)
		for _, finding := range findings.Items {
			mark(t, f.sandbox, finding.ID, "FP")
		}
		f.comment(t, "the comment to follow a decision", says("passed", "dismissed"))
		f.platform.EditComment(made.ID, "") // somebody deletes it
		for _, finding := range findings.Items {
			mark(t, f.sandbox, finding.ID, "TP")
		}
		again := f.comment(t, "a new comment in the place of a deleted one", says("failed", "1 new (1 ", second[:7]))
		if again.ID == made.ID {
			t.Errorf("the comment is number %d, as before it was deleted", again.ID)
		}
		if refused := f.platform.Refused(); len(refused) > 1 || len(refused) == 1 && refused[0].Status != http.StatusNotFound {
			t.Errorf("the platform refused %+v", refused)
		}
	})
}

// An answer that is lost, an outage and a locked conversation leave one comment, and hold up no status.
func TestCommentsComeOnceThroughOutages(t *testing.T) {
	t.Parallel()
	onForks(t, notesOn, func(t *testing.T, f *forked, _ gitrepo.Checkout) {
		f.platform.LockConversation("acme/shop", 7, true)
		sha := f.open(t, "key.txt", secretText)
		f.shows(t, sha, "failure", "new")
		eventually(t, "the page to say why there is no comment", func() (string, bool) {
			_, page := fetch(t, f.scanhook+"/scans/"+scansOf(t, f.sandbox, sha)[0].Ref)
			return page, strings.Contains(page, "Comment on request 7") && (strings.Contains(page, "locked") || strings.Contains(page, "403"))
		})
		f.platform.LockConversation("acme/shop", 7, false)
		f.platform.Fail(fakeforge.BadGateway(), fakeforge.Lost(), fakeforge.Lost(), fakeforge.Drop())
		next := f.commit(t, "other.txt", "nothing\n")
		f.pipeline(t, next)
		f.tell(t, "synchronize", head(next))
		f.comment(t, "a comment after all that", says(next[:7], "failed"))
	})
}

var outsideCode = regexp.MustCompile("`[^`]*`|<!--[^>]*-->|\\(<http[^>]*>\\)")

// Names of files and messages are of strangers: they become neither links, mentions nor commands.
func TestCommentsObeyNobody(t *testing.T) {
	t.Parallel()
	f, _ := fork(t, sandboxConfig{kind: "gitlab", extra: `
defaults: {comment: note, forks: all}
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: [trivy]}]`})
	startSandbox(t, f.sandbox)
	sha := f.open(t, "readme.txt", "nothing\n")
	eventually(t, "the scan", func() (int, bool) { n := len(scansOf(t, f.sandbox, sha)); return n, n > 0 })
	const evil = "x`\n/merge\n/approve @acme/owners ![i](http://evil.example/i.png) <img src=x> #1 !2 %{a} $`b` --> | \u202e end"
	report := strings.ReplaceAll(reportOf("a"), `"rule_id": "a"`, `"rule_id": "a", "title": `+strconv.Quote(evil)+`, "message": `+strconv.Quote(evil))
	report = strings.ReplaceAll(report, `"main.go"`, `"@acme/`+"`"+`[x](http://evil.example).go"`)
	ask(t, f.sandbox, http.MethodPut, "/api/v1/scans/"+scansOf(t, f.sandbox, sha)[0].Ref+"/results/trivy", report, nil)
	text := f.comment(t, "the comment", says("1 new", "evil")).Body
	rest := outsideCode.ReplaceAllString(text, "")
	if strings.ContainsAny(rest, "@<>!$%/|") || strings.Contains(rest, "evil") || strings.Contains(text, "\u202e") || strings.Contains(text, "\n/") {
		t.Errorf("outside of code the comment has %q", rest)
	}
}
