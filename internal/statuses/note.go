package statuses

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/notes"
)

const (
	noteTimeout   = 40 * time.Second // it may take three calls
	noteLease     = time.Minute      // longer than a post may take
	parallelNotes = 4
	checkNote     = 15 * time.Minute // after one was written
	closedPause   = 15 * time.Second // until the scan of a closed request is looked at again, which nobody tells of
	noteTurns     = 2                // of the platform's pace between two comments, so that statuses go before them
)

// errInProgress is why the last word on a closed request waits.
var errInProgress = errors.New("its scan is in progress")

// noteAdvice is what becomes of a comment that the platform refuses.
const noteAdvice = "; the comment is tried for 15 minutes, and again with the next change of the verdict"

// keeper is the platform as one whose requests get comments; false where that is off.
func (s *sender) keeper() (platforms.NoteKeeper, bool) {
	keeper, able := platforms.NoteKeeperOf(s.Platforms[s.platform])
	return keeper, able && s.Store.Comments(s.platform)
}

// notes is the worker that writes the comments of requests. Where the platform wants a pace, they are written one by one.
func (s *sender) notes(keeper platforms.NoteKeeper) lease.Worker[notes.Note, notes.End] {
	w := lease.Worker[notes.Note, notes.End]{
		Name: "notes " + s.platform, Log: s.Log, Wake: s.Store.Changed(), Every: claimEvery,
		Parallel: parallelNotes, Batch: parallelNotes, Lease: noteLease, Handover: settleTimeout,
		Claim: s.claimNotes,
		Work:  func(ctx context.Context, note notes.Note) (notes.End, error) { return s.write(ctx, keeper, note) },
		Settle: func(ctx context.Context, note notes.Note, end notes.End) error {
			settling, cancel := context.WithTimeout(ctx, settleTimeout)
			defer cancel()
			return s.Store.Notes().Settle(settling, note, end)
		},
	}
	if s.Pace[s.platform] > 0 {
		w.Parallel = 1
	}
	return w
}

// claimNotes keeps to the pauses of statuses and to its own, which hold up no status.
func (s *sender) claimNotes(ctx context.Context, most int) ([]notes.Note, error) {
	if s.notePauses.Paused(s.platform, s.Now()) {
		return nil, nil
	}
	claimed, err := inTurn(s, func() ([]notes.Note, error) { return s.Store.Notes().Claim(ctx, s.platform, most, noteLease) })
	if len(claimed) > 0 {
		s.notePauses.Delay(s.platform, s.Now(), noteTurns*s.Pace[s.platform])
	}
	return claimed, err
}

// write makes a request show its comment. It outlives ctx: the outcome of an interrupted call would be unknown.
func (s *sender) write(ctx context.Context, keeper platforms.NoteKeeper, note notes.Note) (notes.End, error) {
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	subject, err := s.Store.Notes().Subject(writing, note)
	if err != nil {
		return notes.End{}, err
	}
	text, said, err := s.noteText(writing, note, subject)
	switch {
	case errors.Is(err, errInProgress):
		return notes.End{Waiting: true, RetryAfter: closedPause}, nil
	case err != nil:
		return notes.End{}, err
	}
	threads, _, _ := s.threadsOn(note, subject, said)
	digest := digestOf(text, threads)
	if text == "" || digest == note.Digest && !note.Checked() {
		return notes.End{Posted: true, NoteID: note.NoteID, Digest: note.Digest}, nil
	}
	if note.Checked() { // nobody waits for it
		writing = platforms.LowPriority(writing)
	}
	kept, err := keeper.KeepNote(writing, core.Project{Name: subject.ProjectName, Ref: subject.ProjectRef}, note.Number,
		platforms.Note{ID: note.NoteID, Marker: note.Marker, Text: hidden(note.Marker) + text})
	if err == nil {
		err = s.keepThreads(writing, note, subject, said)
	}
	end := s.endOf(note, kept, digest, err)
	s.logNote(note, subject, end, err)
	return end, nil
}

// digestOf tells apart what a request is to show.
func digestOf(text string, threads platforms.Threads) string {
	for _, thread := range threads.Wanted {
		text += "\n" + thread.Key
	}
	for _, key := range slices.Sorted(maps.Keys(threads.Still)) {
		text += "\nstill " + key
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// hidden is a text in Markdown that nobody sees.
func hidden(text string) string { return "<!-- scanhook " + text + " -->\n" }

// noteText is what the request is to show; empty for nothing new: comments are off, or none was written yet and there is nothing to tell, or
// what it shows is the last word.
// errInProgress where the request was closed, and what its comment says last is not known yet.
func (s *sender) noteText(ctx context.Context, note notes.Note, subject notes.Subject) (text string, said told, err error) {
	closed := !subject.IsOpen
	if subject.ScanID == 0 || closed && note.Checked() || !s.Store.CommentMode(note.SourcePlatform, subject.ProjectName).Writes() {
		return "", said, nil
	}
	scan, err := s.Store.GetScanByID(ctx, subject.ScanID)
	switch {
	case err != nil || note.NoteID == 0 && !isWorthTheFirst(note, subject, scan):
		return "", said, err
	case scan.Status.Ended():
		said, err = s.read(ctx, scan)
		return headOf(scan) + describe(said, s.Store.PageOf(scan)), said, err
	case closed:
		return "", said, errInProgress
	}
	return headOf(scan), said, nil
}

// isWorthTheFirst tells whether a request gets a comment where it has none: its head was judged. One that is closed by now gets it only if it
// was open then, as where it was merged because of the verdict.
func isWorthTheFirst(note notes.Note, subject notes.Subject, scan core.Scan) bool {
	if subject.IsOpen || !scan.Status.Ended() {
		return scan.Status.Ended()
	}
	state, _ := core.StatusFor(scan)
	return note.PostedAt == nil && state != core.StatusCancelled && scan.FinishedAt != nil && !note.DesiredAt.Before(*scan.FinishedAt)
}

// headOf is how the text about the head of a request begins.
func headOf(scan core.Scan) string {
	state, text := core.StatusFor(scan)
	return fmt.Sprintf("### %s: %s\n\n%s, commit %s\n", plain(scan.Context), words[state], plain(text), core.ShortSHA(scan.CommitSHA))
}

// words are what people call the states.
var words = map[core.StatusState]string{
	core.StatusPending: "in progress", core.StatusSuccess: "passed", core.StatusFailure: "failed", core.StatusError: "could not be judged",
	core.StatusCancelled: "not judged",
}

// endOf decides what happens next. A rate limit holds for all comments of the platform. A comparison that fails is left out: the comment was
// posted.
func (p *Poster) endOf(note notes.Note, kept platforms.KeptNote, digest string, err error) notes.End {
	limited := new(platforms.RateLimited)
	if errors.As(err, &limited) {
		p.notePauses.Delay(note.SourcePlatform, p.Now(), limited.After)
	}
	switch {
	case err == nil:
		end := notes.End{Posted: true, NoteID: kept.ID, Digest: digest, Written: kept.Written}
		if kept.Written && !note.Checked() {
			end.CheckAfter = checkNote
		}
		return end
	case errors.Is(err, platforms.ErrGone):
		return notes.End{Gone: true}
	case note.Checked():
		return notes.End{Posted: true, NoteID: note.NoteID, Digest: note.Digest}
	}
	return decideNote(note, err, p.Now().Sub(note.DesiredAt)-p.Store.Jumped(note.DesiredAt))
}

// decideNote turns a failed post into what happens next. The note has been due for age.
func decideNote(note notes.Note, err error, age time.Duration) notes.End {
	retry := platforms.RetryAfter(err, firstPause, note.Attempts, age)
	end := notes.End{Error: reason(err), RetryAfter: retry.After, GivenUp: retry.GivenUp}
	switch limited := new(platforms.RateLimited); {
	case errors.As(err, &limited):
		end.Waiting = true
	case errors.Is(err, platforms.ErrNoToken):
		end.RetryAfter, end.GivenUp = noTokenPause, false
	case errors.Is(err, platforms.ErrRefused):
		end.GivenUp = end.GivenUp || age > refusedGrace || platforms.CodeOf(err) == 0
		end.Error += noteAdvice
	}
	return end
}

func (p *Poster) logNote(note notes.Note, subject notes.Subject, end notes.End, err error) {
	log := p.Log.With("platform", note.SourcePlatform, "project", subject.ProjectName, "request", note.Number)
	switch {
	case end.Posted && end.Written && note.Checked():
		log.Warn("somebody changed our comment of a request, it is put right this once")
	case end.Posted && end.Written:
		log.Info("comment written")
	case end.Gone:
		log.Info("our comment of a request was deleted, it is written anew")
	case end.GivenUp:
		log.Error("comment given up", "error", err)
	case err != nil:
		log.Warn("comment not written", "after", end.RetryAfter, "error", err)
	}
}

// maxListed bounds the findings in a text.
const maxListed = 20

// told is what a text tells of an ended scan: its new findings that are not dismissed are the most urgent first.
type told struct {
	scan     core.Scan
	coverage *core.Coverage
	found    []core.Finding
}

func (p *Poster) read(ctx context.Context, scan core.Scan) (told, error) {
	jobs, err := p.Store.ListJobs(ctx, scan)
	if err != nil {
		return told{}, err
	}
	found, err := p.Store.PageFindings(ctx, scan, store.FindingPage{State: core.New, Limit: maxAnnotations})
	return told{scan, core.CoverageOf(jobs), found}, err
}

// describe is, in Markdown, what follows the sentence of an ended scan's status.
func describe(t told, page string) string {
	var text strings.Builder
	if t.scan.VerdictReason != "" {
		fmt.Fprintf(&text, "\nThe gate: %s.\n", plain(t.scan.VerdictReason))
	}
	if t.coverage != nil && t.coverage.NotSearched() > 0 {
		fmt.Fprintf(&text, "\nNot searched: %d, which may hold findings.\n", t.coverage.NotSearched())
	}
	if len(t.found) > 0 {
		text.WriteString("\nNew findings:\n\n")
	}
	for _, f := range t.found[:min(len(t.found), maxListed)] {
		fmt.Fprintf(&text, "- **%s** %s", f.Severity, code(cmp.Or(f.Title, f.RuleID)))
		if f.File != "" {
			fmt.Fprintf(&text, " in %s", code(placeOf(f)))
		}
		if f.Commit != "" {
			fmt.Fprintf(&text, " of commit %s", core.ShortSHA(f.Commit))
		}
		text.WriteString("\n")
	}
	switch rest := len(t.found) - maxListed; {
	case len(t.found) == maxAnnotations: // there may be more than were read
		text.WriteString("\nand more\n")
	case rest > 0:
		fmt.Fprintf(&text, "\nand %d more\n", rest)
	}
	if page != "" {
		fmt.Fprintf(&text, "\n[All findings, and what to do about them](<%s>)\n", page)
	}
	return text.String()
}

func placeOf(f core.Finding) string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

// maxText bounds one text from outside, in bytes.
const maxText = 300

// code shows a text from outside in Markdown. It is on one line inside a span of code, in which the platforms make neither links nor
// mentions, nor obey commands; characters that are escaped by other means become what they were before mentions are looked for.
func code(text string) string {
	text = strings.ReplaceAll(core.Clip(strings.TrimSpace(core.Line(core.WithoutEscapes(text))), maxText), "`", "'")
	return "`" + cmp.Or(strings.TrimSpace(text), "?") + "`"
}

// harmless are texts that mean nothing in Markdown: of words, numbers and some signs.
var harmless = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_ ,()%]*(?:[:;] [A-Za-z0-9_ ,()%]+)*$`)

// plain is code, unless the text is harmless.
func plain(text string) string {
	if len(text) <= maxText && harmless.MatchString(text) {
		return text
	}
	return code(text)
}

// maxThreads bounds the threads on a request: each is a call, and people read fewer.
const maxThreads = 20

// threadsOn are the threads that a request is to show: of the new findings on lines of its head, the most urgent are begun, and those of all
// that count stay open. able is false where there are none on the platform, they are off, or nothing is known of the head yet.
func (s *sender) threadsOn(note notes.Note, subject notes.Subject, t told) (threads platforms.Threads, keeper platforms.ThreadKeeper, able bool) {
	keeper, able = platforms.ThreadKeeperOf(s.Platforms[s.platform])
	able = able && subject.IsOpen && !note.Checked() && t.scan.Status.Ended() && t.scan.Status != core.ScanFailed &&
		s.Store.CommentMode(note.SourcePlatform, subject.ProjectName) == core.CommentThreads
	if !able {
		return threads, keeper, false
	}
	threads = platforms.Threads{Still: map[string]bool{}, All: len(t.found) < maxAnnotations}
	for _, f := range t.found {
		key := fmt.Sprint(f.AlertID)
		threads.Still[key] = true
		if f.File != "" && f.Line > 0 && f.Commit == "" && len(threads.Wanted) < maxThreads {
			threads.Wanted = append(threads.Wanted, platforms.Thread{
				Key: key, File: f.File, Line: f.Line, Text: describeThread(f, s.Store.PageOf(t.scan)),
			})
		}
	}
	return threads, keeper, true
}

func describeThread(f core.Finding, page string) string {
	text := fmt.Sprintf("**%s** %s\n", f.Severity, code(cmp.Or(f.Title, f.RuleID)))
	if f.Message != "" && f.Message != f.Title {
		text += fmt.Sprintf("\n%s\n", code(f.Message))
	}
	if page != "" {
		text += fmt.Sprintf("\n[What to do about it](<%s>)\n", page)
	}
	return text
}

// keepThreads has the request show its threads, after its comment.
func (s *sender) keepThreads(ctx context.Context, note notes.Note, subject notes.Subject, t told) error {
	threads, keeper, able := s.threadsOn(note, subject, t)
	if !able {
		return nil
	}
	return keeper.KeepThreads(ctx, core.Project{Name: subject.ProjectName, Ref: subject.ProjectRef}, note.Number, subject.HeadSHA, threads)
}
