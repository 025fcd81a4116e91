package standin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sampleCommit is one commit of the sample repository.
type sampleCommit struct {
	message string
	at      time.Time
	files   map[string]string
}

// SampleRepository makes a little service with planted secrets in dir, which must not be a repository yet. It has two
// commits on main; authors, dates and contents are fixed, so that the ids are the same everywhere. Every secret is made
// up on the spot and opens nothing.
func SampleRepository(ctx context.Context, dir string) (Checkout, error) {
	if _, err := output(gitCommand(ctx, "init", "--quiet", "--initial-branch=main", "--template=", dir)); err != nil {
		return Checkout{}, fmt.Errorf("creating the sample repository: %w", err)
	}
	for _, c := range sampleHistory() {
		if err := c.make(ctx, dir); err != nil {
			return Checkout{}, fmt.Errorf("creating the sample repository: %w", err)
		}
	}
	return Open(ctx, dir)
}

func (c sampleCommit) make(ctx context.Context, dir string) error {
	for name, content := range c.files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	if _, err := git(ctx, dir, "-c", "core.autocrlf=false", "add", "--all"); err != nil {
		return err
	}
	cmd := gitCommand(ctx, "-C", dir, "commit", "--quiet", "--no-gpg-sign", "--message", c.message)
	stamp := c.at.Format(time.RFC3339)
	cmd.Env = append(cmd.Env,
		"GIT_AUTHOR_NAME="+personName, "GIT_AUTHOR_EMAIL="+personEmail, "GIT_AUTHOR_DATE="+stamp,
		"GIT_COMMITTER_NAME="+personName, "GIT_COMMITTER_EMAIL="+personEmail, "GIT_COMMITTER_DATE="+stamp)
	_, err := output(cmd)
	return err
}

const (
	lettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	base32Letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	digits           = "0123456789"
)

// noise is length characters of alphabet that look random and are the same for the same seed. The secrets are made with
// it, so that none of them stands in this repository, where scanners would find it.
func noise(seed, alphabet string, length int) string {
	var text strings.Builder
	for block := 0; text.Len() < length; block++ {
		for _, b := range sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, block)) {
			text.WriteByte(alphabet[int(b)%len(alphabet)])
		}
	}
	return text.String()[:length]
}
