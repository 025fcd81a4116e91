// Package platforms is the port between Scanhook and the Git platforms: what an adapter must do, what it can offer
// besides, and the errors by which it tells its callers what to do next. The adapters are platforms/github,
// platforms/gitlab and platforms/gitea.
//
// Every adapter is a Platform. It offers more by implementing some of the small interfaces below. Callers do not assert
// types: for each capability there is one function that does, below its interface.
//
// Reading order: platforms.go (interfaces), errors.go, post.go, keyring.go (secrets, and which projects they may speak
// for), hooks.go; payload.go, push.go, names.go and addresses.go read payloads; client.go, throttle.go and response.go
// make calls; kind.go describes kinds of platforms.
package platforms

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
)

// Platform is one configured instance of a Git platform.
type Platform interface {
	// Verify checks that body comes from the platform, or from somebody who may speak for some of its projects: the result
	// must authorize what Parse makes of the body. It looks at the raw bytes and parses nothing.
	// Errors wrap core.ErrDenied and never repeat a secret.
	Verify(header http.Header, body []byte) (Verification, error)
	// Parse translates a verified call. Events that we do not use become core.Ignored, never an error.
	// A body that is not what its event header says is core.ErrInvalid; the delivery then has what the headers tell, its key.
	Parse(header http.Header, body []byte) (core.Delivery, error)
	// PostStatus makes the platform show the desired state. Errors are those of this package; any other error is worth a
	// retry. CodeOf tells the HTTP status behind an error, and FieldRefused which text is at fault. Callers use Post, which
	// retries without such a text.
	PostStatus(ctx context.Context, status core.Status) (Posted, error)
	// Remote tells how to fetch a project, from the configured base address only.
	Remote(ctx context.Context, project string) (Remote, error)
}

// Posted is what a platform says of a status that it took.
type Posted struct {
	PipelinePin string // the pipeline that the status landed in (GitLab), or empty
	ID          int64  // the platform's number of the status; 0 where the answer does not tell
	Code        int    // HTTP status of the answer; 0 where nothing had to be sent
	ShownIn     string // where else than on the commit in its project it stands; usually empty
	LeftOut     string // what Post left out of it because the platform refused it, with the reason; usually empty
}

// Remote is a git remote with the credential that opens it.
type Remote struct {
	URL           string // http(s), without credentials
	Authorization string // value of the Authorization header, or empty for public projects
}

// Set holds the configured platforms by their key in the configuration.
type Set map[string]Platform

// SignatureFinder is a Platform that sees in the header alone whether a call can be verified, before its body takes
// memory. Package webhooks asks for it.
type SignatureFinder interface {
	// Signed tells whether the header has anything that Verify could check.
	Signed(header http.Header) bool
}

// CanVerify is false only where the header alone shows that a call cannot be verified.
func CanVerify(platform Platform, header http.Header) bool {
	finder, able := platform.(SignatureFinder)
	return !able || finder.Signed(header)
}

// Keeper is a Platform whose verified calls can be kept as they came, to be read later. Packages webhooks and ingest ask for
// it.
type Keeper interface {
	// Keep returns of a call what Parse needs later: the headers that it looks at, and the body. Neither has a secret: not that
	// of the webhook, nor any that the body may carry.
	Keep(header http.Header, body []byte) (http.Header, []byte)
	// Recall is what Verify said of a kept call, by the name and kind of the secret. core.ErrDenied when it is not
	// configured any more.
	Recall(verifiedBy string, signed bool) (Verification, error)
}

// Keep is what is kept of a verified call. Of a platform that does not say it, all headers are kept but those whose names speak of
// a secret.
func Keep(platform Platform, header http.Header, body []byte) (http.Header, []byte) {
	if keeper, able := platform.(Keeper); able {
		return keeper.Keep(header, body)
	}
	kept := header.Clone()
	maps.DeleteFunc(kept, func(name string, _ []string) bool {
		return slices.ContainsFunc([]string{"secret", "token", "signature", "authorization", "cookie", "password"}, func(word string) bool {
			return strings.Contains(strings.ToLower(name), word)
		})
	})
	return kept, body
}

// Read is Parse, of which a panic is an error too: a call that cannot be read is set aside.
func Read(platform Platform, header http.Header, body []byte) (delivery core.Delivery, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("parsing panicked: %v", fault)
		}
	}()
	return platform.Parse(header, body)
}

// Recall is what was found out about a kept call when it was verified.
func Recall(platform Platform, verifiedBy string, signed bool) (Verification, error) {
	if keeper, able := platform.(Keeper); able {
		return keeper.Recall(verifiedBy, signed)
	}
	return Verification{}, fmt.Errorf("%w: the platform does not tell for which projects its secrets speak", core.ErrDenied)
}

const contentType = "Content-Type"

// Headers are those of a call's headers that have one of the names, or tell its content type.
func Headers(header http.Header, names ...string) http.Header {
	some := http.Header{}
	for _, name := range append(names, contentType) {
		if values := header.Values(name); len(values) > 0 {
			some[http.CanonicalHeaderKey(name)] = values
		}
	}
	return some
}

// Signer is a Platform whose calls can be signed instead of carrying a plain secret, which anybody who intercepts a call
// can reuse. The pages and scanhook check ask for it.
type Signer interface {
	// MaySign tells whether a signing token is configured that may speak for the project. Only then unsigned calls for it
	// are refused after the first signed one.
	MaySign(project string) bool
}

// MaySign tells whether a signing token is configured for a project. It is false on platforms without signed calls.
func MaySign(platform Platform, project string) bool {
	signer, able := platform.(Signer)
	return able && signer.MaySign(project)
}

// CredentialChecker is a Platform that can say what its credential is good for before a project needs it. scanhook check
// asks for it.
type CredentialChecker interface {
	// CheckCredential asks about the credential alone, in one call or two. Errors are those of this package: Denied where it
	// is wrong, has expired or lacks a permission. Nil says only that nothing is known against it: whether it may act in a
	// project shows there.
	CheckCredential(ctx context.Context) (Credential, error)
}

// Credential is what a platform says about the configured token or App.
type Credential struct {
	ExpiresAt time.Time // zero where it does not expire, or where the platform does not tell
	// Lacks says what is to be done before the credential serves what can be switched on besides commit statuses. What is not in it may still
	// be refused.
	Lacks map[Use]string
}

// Use is something that a credential may be good for besides commit statuses.
type Use string

// The uses.
const (
	UseChecks Use = "check runs"
	UseNotes  Use = "comments on requests"
)

// CredentialCheckerOf is the platform as a CredentialChecker, if it is one.
func CredentialCheckerOf(platform Platform) (CredentialChecker, bool) {
	checker, able := platform.(CredentialChecker)
	return checker, able
}

// ClientSharer is a Platform that shares its HTTP client for other calls to the same server, so that a rate limit holds
// for all of them. The package that compares refs over the git protocol asks for it.
type ClientSharer interface {
	// HTTPClient is made by NewClient. It adds no credential.
	HTTPClient() *http.Client
}

// ClientOf is a copy of the platform's HTTP client with another timeout, or a new client where it shares none.
func ClientOf(platform Platform, timeout time.Duration) *http.Client {
	sharer, able := platform.(ClientSharer)
	if !able {
		return NewClient(&http.Client{Timeout: timeout})
	}
	client := *sharer.HTTPClient()
	client.Timeout = timeout
	return &client
}

// StatusReader is a Platform that tells which statuses it shows. The package that posts statuses asks for it; less often
// where webhooks announce statuses as well.
type StatusReader interface {
	// LatestStatus is what stands in the place of a posted status. ErrUnknownCommit when there is none; other errors are
	// those of this package, or worth a retry.
	LatestStatus(ctx context.Context, status core.Status) (core.ObservedStatus, error)
}

// StatusReaderOf is the platform as a StatusReader, if it is one.
func StatusReaderOf(platform Platform) (StatusReader, bool) {
	reader, able := platform.(StatusReader)
	return reader, able
}

// CheckRunner is a Platform that shows check runs beside commit statuses: with a summary, and findings on the lines of a change.
type CheckRunner interface {
	// ShowsChecks tells whether the configured credential can make check runs at all.
	ShowsChecks() bool
	// PostCheck makes the platform show a check run: a new one where status.PostedID is 0, else that one. A permission that is
	// missing is ErrRefused; other errors are those of PostStatus.
	PostCheck(ctx context.Context, status core.Status, report CheckReport) (Posted, error)
}

// CheckReport is what a check run says besides its state.
type CheckReport struct {
	Summary     string // Markdown
	Annotations []Annotation
	Buttons     []buttons.Button
}

// Annotation is a finding at a place of the commit's tree.
type Annotation struct {
	File           string // relative to the repository's root
	Line, EndLine  int    // 1-based; 0 where unknown
	Severity       core.Severity
	Title, Message string // plain text
}

// CheckRunnerOf is the platform as a CheckRunner, if it shows check runs.
func CheckRunnerOf(platform Platform) (CheckRunner, bool) {
	runner, able := platform.(CheckRunner)
	return runner, able && runner.ShowsChecks()
}

// ShowChecks tells whether a platform shows check runs.
func (s Set) ShowChecks(platform string) bool {
	_, able := CheckRunnerOf(s[platform])
	return able
}

// Referee is a Platform that tells what people may do in its projects. The package that does what the buttons of check runs ask for asks
// it.
type Referee interface {
	// MayWrite tells whether a person may change the code of a project. The login is that of the person with the id, or nobody's: another
	// one may have taken it. Errors are those of this package, or worth a retry.
	MayWrite(ctx context.Context, project core.Project, login string, id int64) (bool, error)
}

// RefereeOf is the platform as a Referee, if it is one and shows check runs.
func RefereeOf(platform Platform) (Referee, bool) {
	_, shows := CheckRunnerOf(platform)
	referee, able := platform.(Referee)
	return referee, able && shows
}

// NoteKeeper is a Platform that has comments in the conversation of pull or merge requests. The package that posts statuses asks for it.
type NoteKeeper interface {
	// KeepNote makes a request show a note, and returns its number there. ErrGone where the comment was deleted that had note.ID: the next
	// one gets another marker. A permission that is missing is ErrRefused; other errors are those of this package, or worth a retry.
	KeepNote(ctx context.Context, project core.Project, request int64, note Note) (KeptNote, error)
}

// Note is the one comment of ours on a request.
type Note struct {
	ID     int64  // the platform's number of it; 0 where it is not known: then the oldest comment with the marker is taken, or a new one is made
	Marker string // is in Text, and was in no comment before ours
	Text   string // Markdown
}

// KeptNote is a note as the platform shows it.
type KeptNote struct {
	ID      int64
	Written bool // it showed something else before
}

// NoteKeeperOf is the platform as a NoteKeeper, if it is one.
func NoteKeeperOf(platform Platform) (NoteKeeper, bool) {
	keeper, able := platform.(NoteKeeper)
	return keeper, able
}

// KeepNotes tells whether requests of a platform can have a comment.
func (s Set) KeepNotes(platform string) bool {
	_, able := NoteKeeperOf(s[platform])
	return able
}

// ThreadKeeper is a NoteKeeper that has threads on the lines of a request's change, which can be resolved.
type ThreadKeeper interface {
	// KeepThreads makes a request, whose head is a commit, show these threads of ours, and resolves those of ours whose findings do not
	// count any more. A thread has been begun once, however often it is called. Errors are those of NoteKeeper.
	KeepThreads(ctx context.Context, project core.Project, request int64, head string, threads Threads) error
}

// Threads are those of a request.
type Threads struct {
	Wanted []Thread        // to be begun where they have not been; they are fewer than what counts
	Still  map[string]bool // keys of the findings that count: their threads stay open
	All    bool            // Still has all of them: what is not in it does not count any more
}

// Thread is one on a line.
type Thread struct {
	Key  string // tells it from the others of the request, for ever
	File string // relative to the repository's root
	Line int    // 1-based
	Text string // Markdown
}

// ThreadKeeperOf is the platform as a ThreadKeeper, if it is one.
func ThreadKeeperOf(platform Platform) (ThreadKeeper, bool) {
	keeper, able := platform.(ThreadKeeper)
	return keeper, able
}

// MergeBaseFinder is a Platform that knows the history of its projects, which a shallow checkout does not. The runner and
// the API ask for it through FindMergeBase.
type MergeBaseFinder interface {
	// MergeBase finds the commit where sha left the branch. Errors are those of this package, or worth a retry.
	MergeBase(ctx context.Context, project, branch, sha string) (string, error)
}

// FindMergeBase asks a scan's platform where its branch left the one into which it is to go, saves the answer with keep and returns
// the scan with it. It asks nothing on the default branch itself, when the answer is known already, and on platforms
// that are no MergeBaseFinder.
func (s Set) FindMergeBase(
	ctx context.Context, scan core.Scan, keep func(context.Context, core.Scan, string) error,
) (core.Scan, error) {
	finder, able := s[scan.SourcePlatform].(MergeBaseFinder)
	if !able || scan.MergeBaseSHA != "" || scan.MergeTarget() == "" || scan.OnDefaultBranch() {
		return scan, nil
	}
	sha, err := finder.MergeBase(ctx, scan.ProjectName, scan.MergeTarget(), scan.CommitSHA)
	if err != nil {
		return scan, err
	}
	if !core.IsCommitSHA(sha) {
		return scan, errors.New("the answer names no commit")
	}
	if err := keep(ctx, scan, sha); err != nil {
		return scan, err
	}
	scan.MergeBaseSHA = sha
	return scan, nil
}

// MetadataFetcher is a Platform that supplies what its webhooks leave out. Package enrich asks for it. Errors are those of
// this package; any other error is worth a retry.
type MetadataFetcher interface {
	// ArtifactBytes is the size of all artifacts of a finished pipeline run, in bytes; 0 where it has none.
	ArtifactBytes(ctx context.Context, project core.Project, pipeline int64) (int64, error)
	// ChangedFiles counts the files that differ between the commits; a lower bound where the platform lists no more.
	ChangedFiles(ctx context.Context, project core.Project, before, after string) (core.ChangedFiles, error)
}

// MaxArtifact is the largest size that is believed of one artifact, 1 TiB; it also keeps sums from overflowing.
const MaxArtifact = 1 << 40

// MetadataFetcherOf is the platform as a MetadataFetcher, if it is one.
func MetadataFetcherOf(platform Platform) (MetadataFetcher, bool) {
	fetcher, able := platform.(MetadataFetcher)
	return fetcher, able
}

// HookManager is a Platform whose webhooks can be listed, added and repaired. scanhook hooks sync, scanhook check and the
// package that has events delivered again ask for it. Errors are those of this package; any other error is worth a retry.
type HookManager interface {
	// HookTargets is where webhooks for a project's events can be, the widest last.
	HookTargets(project string) []core.HookTarget
	// Hooks finds the webhooks of a target that call address.
	Hooks(ctx context.Context, target core.HookTarget, address string) ([]Hook, error)
	// AddHook creates a webhook of a target for address, with the first configured secret.
	AddHook(ctx context.Context, target core.HookTarget, address string) error
	// DraftHook lists what AddHook would write, without secrets.
	DraftHook(target core.HookTarget, address string) []HookSetting
	// RepairHook sets everything that Scanhook needs of a webhook, the secret included.
	RepairHook(ctx context.Context, hook Hook, address string) error
}

// HookManagerOf is the platform as a HookManager, if it is one.
func HookManagerOf(platform Platform) (HookManager, bool) {
	manager, able := platform.(HookManager)
	return manager, able
}

// ProjectLister is a Platform that lists projects. scanhook hooks sync asks for it.
type ProjectLister interface {
	// Projects are the full paths of those whose webhooks the credential may manage; 10,000 at most. Errors are those of this
	// package, or worth a retry.
	Projects(ctx context.Context) ([]string, error)
}

// ProjectListerOf is the platform as a ProjectLister, if it is one.
func ProjectListerOf(platform Platform) (ProjectLister, bool) {
	lister, able := platform.(ProjectLister)
	return lister, able
}

// Redeliverer is a Platform that logs its deliveries. scanhook hooks sync and the package that has events delivered again
// ask for it. Errors are those of this package; any other error is worth a retry.
type Redeliverer interface {
	// Attempts lists what the platform tried to deliver since then, the newest first. Platforms that tell no times list
	// all failed attempts in their log.
	Attempts(ctx context.Context, hook Hook, since time.Time) ([]Attempt, error)
	// Redeliver has the platform try again, under the same key. On some platforms it returns before the call has come.
	Redeliver(ctx context.Context, hook Hook, attempt Attempt) error
	// TestHook has the platform call the webhook, which enables one that it has paused or disabled.
	TestHook(ctx context.Context, hook Hook) error
}

// RedelivererOf is the platform as a Redeliverer, if it is one.
func RedelivererOf(platform Platform) (Redeliverer, bool) {
	redeliverer, able := platform.(Redeliverer)
	return redeliverer, able
}
