package runner

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/platforms"
)

// hardened are the settings of every git command: nothing of the repository may run, reach outside the checkout or
// make git follow it elsewhere. Redirects are off because git would send its credential to where they lead.
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

// harmless are the faults that git's check finds in honest old commits: they cannot hurt a checkout.
var harmless = []string{
	"badDateOverflow", "badEmail", "badTimezone", "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate",
	"missingSpaceBeforeEmail", "multipleAuthors", "zeroPaddedDate", "zeroPaddedFilemode",
}

// gitRunner runs git inside a workspace.
type gitRunner struct {
	space  workspace
	remote platforms.Remote
}

func (g gitRunner) run(ctx context.Context, args ...string) error {
	return g.start(ctx, gitEnvironment(g.space), nil, args)
}

// runAuthorized lends git the credential, through its environment: arguments can be read by every user of the machine,
// and a configuration file by the scanner. It is bound to the project's own address.
func (g gitRunner) runAuthorized(ctx context.Context, args ...string) error {
	environment := gitEnvironment(g.space)
	if g.remote.Authorization != "" {
		environment = append(environment,
			"GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=http."+g.remote.URL+".extraHeader",
			"GIT_CONFIG_VALUE_0=Authorization: "+g.remote.Authorization,
		)
	}
	return g.start(ctx, environment, nil, args)
}

func (g gitRunner) start(ctx context.Context, environment []string, stdout io.Writer, args []string) error {
	options := append(slices.Clone(hardened), "-c", fmt.Sprintf("http.lowSpeedTime=%d", g.space.patience/time.Second))
	for _, fault := range harmless {
		options = append(options, "-c", "fetch.fsck."+fault+"=ignore")
	}
	stderr := &tail{limit: tailSize}
	cmd := g.limited(ctx, append(options, args...))
	cmd.Dir = g.space.source
	cmd.Env = environment
	cmd.Stdout, cmd.Stderr = stdout, stderr
	switch err := runGroup(cmd); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !ended(err):
		return startFault("git", err, filepath.Dir(g.space.root))
	case err != nil:
		return g.failed(err, stderr.String())
	}
	return nil
}

func (g gitRunner) failed(err error, stderr string) error {
	if full := g.space.fits(); full != nil {
		return full
	}
	notRun := cannotRun(err)
	err = fmt.Errorf("git said %q (%w)", g.lastWords(stderr), err)
	if notRun {
		return startFault("git", err, filepath.Dir(g.space.root))
	}
	if fault := saidFault(err, stderr, filepath.Dir(g.space.root)); fault != nil {
		return fault
	}
	switch {
	case strings.Contains(stderr, "Out of memory"):
		return overrun{fmt.Errorf("git needs more memory for this commit than it may use: take large files out of the "+
			"repository, or raise runner.max_paths, by which it may use more: %w", err)}
	case isCut(stderr):
		return cut{err}
	}
	return err
}

// What git may use of the machine's memory, in bytes. A path in the index takes half of bytesPerPath, its name at most
// the other half.
const (
	gitMemory    = 1 << 30
	bytesPerPath = 512
	maxPathName  = 256 // on average
)

// cannotRun tells whether a shell could not run the program that it was to become.
func cannotRun(err error) bool {
	exit := new(exec.ExitError)
	return errors.As(err, &exit) && (exit.ExitCode() == 126 || exit.ExitCode() == 127)
}

// limited is git below its limits: a few objects can unfold to more than any machine has.
func (g gitRunner) limited(ctx context.Context, args []string) *exec.Cmd {
	git, err := exec.LookPath("git")
	cmd := limited(ctx, gitMemory+bytesPerPath*g.space.maxPaths, g.space.limit, git, args)
	cmd.Err = cmp.Or(err, cmd.Err)
	return cmd
}

// lastWords is the last line that git wrote, which may repeat what the server said, without the credential. Where a
// transfer failed, the lines after that only tell what git missed then. Where the objects are wrong, the lines before
// tell how.
func (g gitRunner) lastWords(stderr string) string {
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
	line = reports.RedactText(line, credentialParts(g.remote.Authorization)...)
	if len(line) > limit {
		line = strings.ToValidUTF8(line[:limit], "") + "…"
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
