package runner

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/scanhook/scanhook/platforms"
)

// hardened are the settings of every git command: nothing of the repository may run, reach outside the checkout or
// make git follow it elsewhere. Redirects are off because git would send its credential to where they lead.
var hardened = []string{
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.fsmonitor=false",
	"-c", "core.symlinks=false",
	"-c", "core.autocrlf=false",
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
	return g.start(ctx, gitEnvironment(g.space), args)
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
	return g.start(ctx, environment, args)
}

func (g gitRunner) start(ctx context.Context, environment, args []string) error {
	options := append(slices.Clone(hardened), "-c", fmt.Sprintf("http.lowSpeedTime=%d", g.space.patience/time.Second))
	for _, fault := range harmless {
		options = append(options, "-c", "fetch.fsck."+fault+"=ignore")
	}
	stderr := &tail{limit: tailSize}
	cmd := exec.CommandContext(ctx, "git", append(options, args...)...)
	cmd.Dir = g.space.source
	cmd.Env = environment
	cmd.Stderr = stderr
	switch err := runGroup(cmd); {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("git is not installed: install it where Scanhook runs: %w", err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("git said %q (%w)", g.lastWords(stderr.String()), err)
		if isCut(stderr.String()) {
			return cut{err}
		}
		return err
	}
	return nil
}

// lastWords is the last line that git wrote, which may repeat what the server said, without the credential. Where a
// transfer failed, the lines after that only tell what git missed then.
func (g gitRunner) lastWords(stderr string) string {
	const limit = 300
	line := ""
	for candidate := range strings.Lines(stderr) {
		if text := strings.TrimSpace(candidate); text != "" && !strings.Contains(line, transferFailed) {
			line = text
		}
	}
	for _, secret := range credentialParts(g.remote.Authorization) {
		line = strings.ReplaceAll(line, secret, "[credential]")
	}
	line = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(line, "\uFFFD"))
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
