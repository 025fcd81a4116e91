package gitrepo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// SampleAuthor is the author of the sample's commits.
var SampleAuthor = Person{Name: "Mira Holm", Email: "mira@example.com"}

// Sample makes a small service with planted secrets in dir, which must not be a repository yet. It has two
// commits on main; authors, dates and contents are fixed, so that the ids are the same everywhere. Every secret is
// computed and gives access to nothing.
func Sample(ctx context.Context, dir string) (Checkout, error) {
	if err := run(Command(ctx, "init", "--quiet", "--initial-branch=main", "--template=", dir)); err != nil {
		return Checkout{}, fmt.Errorf("creating the sample repository: %w", err)
	}
	for _, c := range sampleHistory() {
		if err := c.make(ctx, dir); err != nil {
			return Checkout{}, fmt.Errorf("creating the sample repository: %w", err)
		}
	}
	return Open(ctx, dir)
}

// sampleCommit is one commit of the sample repository.
type sampleCommit struct {
	message string
	at      time.Time
	files   map[string]string
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
	if _, err := Dir(dir).Output(ctx, "-c", "core.autocrlf=false", "add", "--all"); err != nil {
		return err
	}
	cmd := Command(ctx, "-C", dir, "commit", "--quiet", "--no-gpg-sign", "--message", c.message)
	stamp := c.at.Format(time.RFC3339)
	cmd.Env = append(cmd.Env,
		"GIT_AUTHOR_NAME="+SampleAuthor.Name, "GIT_AUTHOR_EMAIL="+SampleAuthor.Email, "GIT_AUTHOR_DATE="+stamp,
		"GIT_COMMITTER_NAME="+SampleAuthor.Name, "GIT_COMMITTER_EMAIL="+SampleAuthor.Email, "GIT_COMMITTER_DATE="+stamp)
	return run(cmd)
}

// sampleHistory is the sample repository, oldest commit first. The second commit adds most of the secrets, so that a push
// of it has new findings.
func sampleHistory() []sampleCommit {
	first := time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)
	return []sampleCommit{
		{message: "Take payments over HTTP", at: first, files: map[string]string{
			"README.md":                  sampleReadme,
			"go.mod":                     "module example.com/payments\n\ngo 1.24\n",
			"main.go":                    sampleMain,
			"internal/payment/client.go": plant(sampleClient),
		}},
		{message: "Deploy from CI\n\nThe credentials move to a file later.", at: first.Add(26 * time.Hour),
			files: map[string]string{
				"config/deploy.env": plant(sampleDeploy),
				"config/deploy.key": plant(sampleKey),
			}},
	}
}

// plant replaces the placeholders of a text by secrets.
func plant(text string) string {
	return strings.NewReplacer(
		"{stripe}", "sk_"+"live_"+noise("stripe", lettersAndDigits, 32),
		"{slack}", "xox"+"b-"+noise("team", digits, 12)+"-"+noise("bot", digits, 12)+"-"+noise("slack", lettersAndDigits, 24),
		"{github}", "gh"+"p_"+noise("github", lettersAndDigits, 36),
		"{aws}", "AK"+"IA"+noise("aws", base32Letters, 16),
		"{key}", noise("key", lettersAndDigits, 64)+"\n"+noise("more", lettersAndDigits, 64),
		"{pem}", "PRIVATE"+" KEY",
	).Replace(text)
}

const (
	lettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	base32Letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	digits           = "0123456789"
)

// noise is length characters of alphabet that look random and are the same for the same seed. The secrets are made with
// it, so that this repository, which is scanned too, contains none of them.
func noise(seed, alphabet string, length int) string {
	var text strings.Builder
	for block := 0; text.Len() < length; block++ {
		for _, b := range sha256.Sum256(fmt.Appendf(nil, "%s %d", seed, block)) {
			text.WriteByte(alphabet[int(b)%len(alphabet)])
		}
	}
	return text.String()[:length]
}

const sampleReadme = `# payments

Takes payments for the shop. ` + "`go run .`" + ` and post an order to http://localhost:9000/pay.
`

const sampleMain = `package main

import (
	"log"
	"net/http"

	"example.com/payments/internal/payment"
)

func main() {
	http.HandleFunc("POST /pay", func(w http.ResponseWriter, r *http.Request) {
		if err := payment.Charge(r.Context(), r.FormValue("order")); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	log.Fatal(http.ListenAndServe("localhost:9000", nil))
}
`

const sampleClient = `// Package payment talks to the payment provider.
package payment

import (
	"context"
	"fmt"
	"net/http"
)

const apiKey = "{stripe}"

// Charge asks the provider for the money of an order.
func Charge(ctx context.Context, order string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://pay.example.com/charges/"+order, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("charging order %s: %s", order, response.Status)
	}
	return nil
}
`

const sampleDeploy = `# read by the deploy job
AWS_REGION=eu-central-1
AWS_ACCESS_KEY_ID={aws}
SLACK_BOT={slack}
PACKAGES_LOGIN={github}
`

const sampleKey = `-----BEGIN {pem}-----
{key}
-----END {pem}-----
`
