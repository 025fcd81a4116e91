// Package git runs git for the runner. Everything that git touches is a stranger's: the repository, and what the server
// answers. So git runs in a sandbox, hardened and bounded, and its messages are passed on without the credential.
package git

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/platforms"
)

// hardened are the settings of every git command: nothing of the repository may run, reach outside the checkout or lead git
// elsewhere. Redirects are off because git would send its credential to where they lead.
var hardened = []string{
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.fsmonitor=false",
	"-c", "core.symlinks=false",
	"-c", "core.autocrlf=false",
	"-c", "core.attributesFile=/dev/null",
	"-c", "core.sparseCheckout=false",
	"-c", "core.bigFileThreshold=32m", // larger files go through memory piece by piece
	"-c", "core.protectHFS=true",
	"-c", "core.protectNTFS=true",
	"-c", "credential.helper=",
	"-c", "http.followRedirects=false",
	"-c", "http.lowSpeedLimit=1000",
	"-c", "transfer.fsckObjects=true",
	"-c", "submodule.recurse=false",
}

// harmless are the faults that git's check finds in old commits, and that cannot hurt a checkout.
var harmless = []string{
	"badDateOverflow", "badEmail", "badTimezone", "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate",
	"missingSpaceBeforeEmail", "multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode",
}

// What git may use of the host's memory, in bytes. A path in the index takes half of bytesPerPath, its name at most the
// other half.
const (
	gitMemory    = 1 << 30
	bytesPerPath = 512
	maxPathName  = 256 // on average
)

const (
	defaultMaxPaths = 2_000_000
	defaultPatience = time.Minute
	versionTimeout  = 10 * time.Second
)

// Repo is a project that is fetched into a workspace.
type Repo struct {
	Space    sandbox.Workspace
	Remote   platforms.Remote
	MaxPaths int64         // that a commit may have; 2,000,000 by default
	Patience time.Duration // with a server that sends next to nothing, in whole seconds; a minute by default
}

// PathLimit is how many paths a commit may have.
func (r Repo) PathLimit() int64        { return cmp.Or(r.MaxPaths, defaultMaxPaths) }
func (r Repo) patience() time.Duration { return cmp.Or(r.Patience, defaultPatience) }

// Version asks git for its version. Its error says what to do.
func Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "--version")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // without our secrets
	said, err := cmd.Output()
	if err != nil {
		return "", sandbox.Place{Dir: os.TempDir()}.StartFault("git", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(said)), "git version "), nil
}

func (r Repo) run(ctx context.Context, args ...string) error {
	return r.Run(ctx, nil, nil, args...)
}

// Run runs a git command that needs no credential, between in and out, which may be nil.
func (r Repo) Run(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	return r.start(ctx, r.environment(), in, out, args)
}

// runAuthorized gives git the credential, through its environment: arguments can be read by every user of the host, and a
// configuration file by the scanner. Git sends it to the project's own address only.
func (r Repo) runAuthorized(ctx context.Context, in io.Reader, args ...string) error {
	environment := r.environment()
	if r.Remote.Authorization != "" {
		environment = append(environment,
			"GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=http."+r.Remote.URL+".extraHeader",
			"GIT_CONFIG_VALUE_0=Authorization: "+r.Remote.Authorization,
		)
	}
	return r.start(ctx, environment, in, nil, args)
}

func (r Repo) start(ctx context.Context, environment []string, in io.Reader, out io.Writer, args []string) error {
	options := append(slices.Clone(hardened), "-c", fmt.Sprintf("http.lowSpeedTime=%d", r.patience()/time.Second))
	for _, fault := range harmless {
		options = append(options, "-c", "fetch.fsck."+fault+"=ignore")
	}
	stderr := new(sandbox.Tail)
	cmd := r.limited(ctx, append(options, args...))
	cmd.Dir = r.Space.Source
	cmd.Env = environment
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, stderr
	switch err := sandbox.RunGroup(cmd); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !sandbox.Exited(err):
		return r.Space.Place().StartFault("git", err)
	case err != nil:
		return r.failed(err, stderr.String())
	}
	return nil
}

// limited is git with limits: a few objects can unfold to more than any host has.
func (r Repo) limited(ctx context.Context, args []string) *exec.Cmd {
	git, err := exec.LookPath("git")
	cmd := sandbox.Limited(ctx, gitMemory+bytesPerPath*r.PathLimit(), r.Space.Limit, git, args)
	cmd.Err = cmp.Or(err, cmd.Err)
	return cmd
}

// passedOn are the variables of our environment that git needs for proxies and private certificate authorities.
var passedOn = []string{
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// environment is all that git sees: nothing of the configuration of the host or a user.
func (r Repo) environment() []string {
	environment := append(r.Space.Environment(),
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ALLOW_PROTOCOL=http:https",
		"GIT_LFS_SKIP_SMUDGE=1",
		"GIT_CEILING_DIRECTORIES="+r.Space.Root,
	)
	for _, name := range passedOn {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}

func (r Repo) failed(err error, stderr string) error {
	if full := r.Space.Fits(); full != nil {
		return full
	}
	notRun := cannotRun(err)
	err = fmt.Errorf("git said %q (%w)", r.lastWords(stderr), err)
	if notRun {
		return r.Space.Place().StartFault("git", err)
	}
	if fault := r.Space.Place().FaultInOutput(err, stderr); fault != nil {
		return fault
	}
	switch {
	case strings.Contains(strings.ToLower(stderr), "out of memory"):
		return sandbox.LimitExceeded{Err: fmt.Errorf("git needs more memory for this commit than it may use: take large files out of the "+
			"repository, or raise runner.max_paths, by which it may use more: %w", err)}
	case isBroken(stderr):
		return brokenTransfer{err}
	}
	return err
}

// cannotRun tells whether a shell could not run the program that it was to become.
func cannotRun(err error) bool {
	exit := new(exec.ExitError)
	return errors.As(err, &exit) && (exit.ExitCode() == 126 || exit.ExitCode() == 127)
}

// lastWords is the last line that git wrote, without the credential, which the server may have repeated. The lines after a
// failed transfer only tell what git missed; the lines before an error in the objects tell the cause.
func (r Repo) lastWords(stderr string) string {
	const limit = 300
	line, cause := "", ""
	for candidate := range strings.Lines(stderr) {
		text := strings.TrimSpace(candidate)
		switch {
		case text == "" || strings.Contains(line, transferFailed):
		case strings.Contains(text, "index-pack") && line != "":
			line = cmp.Or(cause, line) + "; " + text
		default:
			line = text
			if strings.HasPrefix(text, "error: ") {
				cause = text
			}
		}
	}
	line = reports.RedactText(line, credentialParts(r.Remote.Authorization)...)
	if len(line) > limit {
		line = core.Clip(line, limit)
	}
	return line
}

// credentialParts lists every form in which an Authorization header could be repeated, the longest first.
func credentialParts(authorization string) []string {
	_, value, _ := strings.Cut(authorization, " ")
	parts := []string{authorization, value}
	if plain, err := base64.StdEncoding.DecodeString(value); err == nil {
		_, password, _ := strings.Cut(string(plain), ":")
		parts = append(parts, string(plain), password)
	}
	return slices.DeleteFunc(parts, func(part string) bool { return part == "" })
}

// brokenTransfer is the failure of a git command whose server stopped answering, or sent something else than git's protocol.
type brokenTransfer struct{ error }

func (b brokenTransfer) Unwrap() error { return b.error }

// transferFailed begins git's message about a failed request after the first one.
const transferFailed = "RPC failed"

var (
	// broken are git's messages about an answer that did not come, or ended early.
	broken = []string{
		transferFailed, "Operation too slow", "expected 'packfile'", "early EOF", "the remote end hung up unexpectedly",
		"unexpected disconnect", "bad line length character",
	}
	// decided are its messages about an answer that another try will not change, whatever follows: git also closes the
	// connection to a server whose pack it refuses.
	decided = []string{"remote error: ", "fsck error"}
	// refused is the status of a refusal; 408 and 429 ask the client to try again.
	refused = regexp.MustCompile(`HTTP 4(?:0[0-79]|1\d|2[0-8]|[3-9]\d)\b`)
)

// isBroken reads git's messages, which are those of LC_ALL=C, because its exit code is always the same. Lines of the server
// do not count.
func isBroken(stderr string) bool {
	var words strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "remote: ") {
			words.WriteString(line)
		}
	}
	says := func(phrase string) bool { return strings.Contains(words.String(), phrase) }
	return slices.ContainsFunc(broken, says) && !slices.ContainsFunc(decided, says) && !refused.MatchString(words.String())
}
