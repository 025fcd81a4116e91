package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

// secretSize is the strength of generated secrets in bytes; in the file each byte is two hexadecimal digits.
const secretSize = 32

// initiation is one run of scanhook init.
type initiation struct {
	path        string
	values      config.StarterValues
	force       bool
	showSecrets bool
}

func newInit(opts *cli.Options) *cobra.Command {
	var i initiation
	cmd := &cobra.Command{
		Use: "init", Short: "Write a commented configuration with fresh secrets, and say what to do next",
		Long: "Writes the file named by --config (default config.yaml), which only you can read, with a webhook secret\n" +
			"for each platform and a token for the API, and says what to enter on the platforms.",
		Example: "  scanhook init --public-url https://scanhook.example.com\n" +
			"  scanhook init --config /etc/scanhook/config.yaml --show-secrets",
		Args: cli.Exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i.path = opts.Config
			cfg, text, err := i.render()
			if err != nil {
				return &cli.UsageError{Err: err}
			}
			if err := i.write(text); err != nil {
				return err
			}
			newGuide(i, cfg, text).print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().StringVar(&i.values.PublicURL, "public-url", "http://localhost:8080",
		"`URL` at which the platforms and people reach Scanhook")
	cmd.Flags().BoolVar(&i.force, "force", false, "replace the file, and the secrets in it, where it exists")
	cmd.Flags().BoolVar(&i.showSecrets, "show-secrets", false, "print the secrets, too")
	return cmd
}

// render makes the file's text with fresh secrets, and reads it back, which tells whether the public URL makes sense.
func (i *initiation) render() (*config.Config, []byte, error) {
	i.values.Platforms, i.values.APIToken = starterPlatforms(), newSecret()
	text := config.Starter(i.values)
	cfg, err := config.Parse(i.path, text, platformTypes(), func(string) (string, bool) { return "", false })
	if wrong := new(config.Error); errors.As(err, &wrong) {
		return nil, nil, fmt.Errorf("--public-url: %s", wrong.Problems[0].Message)
	}
	return cfg, text, err
}

// starterPlatforms has every kind of platform; those whose address has to be filled in have no secret yet.
func starterPlatforms() []config.StarterPlatform {
	var list []config.StarterPlatform
	for _, kind := range platformKinds {
		p := config.StarterPlatform{
			Type: kind.Name, URL: kind.URL, Note: kind.Hook.Note, Variable: kind.Token.Variable, Needs: kind.Token.Needs,
		}
		if p.URL != "" {
			p.Secret = newSecret()
		}
		list = append(list, p)
	}
	return list
}

func newSecret() string {
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails, see its documentation
	return hex.EncodeToString(secret)
}

func (i *initiation) write(text []byte) error {
	write := createPrivate
	if i.force {
		write = replacePrivate
	}
	switch err := write(i.path, text); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s exists already: --force replaces it and its secrets, --config FILE writes another", i.path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing the configuration: %w: make the folder %s first", err, filepath.Dir(i.path))
	case err != nil:
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// createPrivate writes a new file that only its owner can read; fs.ErrExist when there is one.
func createPrivate(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return fill(file, text)
}

// replacePrivate puts a new file in the place of an old one, which stays whole until then and lends it no permissions.
func replacePrivate(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".scanhook-init-*")
	if err != nil {
		return err
	}
	if err := fill(file, text); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// fill writes and closes a file, and removes one that could not be written whole.
func fill(file *os.File, text []byte) error {
	_, err := file.Write(text)
	err = errors.Join(err, file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// guide is what a new administrator has to enter where.
type guide struct {
	initiation
	text      []byte // of the file
	publicURL string
	local     bool // publicURL leads nowhere but to this machine
}

func newGuide(i initiation, cfg *config.Config, text []byte) guide {
	return guide{initiation: i, text: text, publicURL: cfg.Server.PublicURL, local: cfg.Server.IsLocal()}
}

const (
	guideStart = `Wrote %[1]s with fresh secrets. Only you can read it; keep it out of git.
`
	guideFirst = `
The shortest way to a first commit status, here for %[3]s/acme/shop:
  export %[4]s=...   # a token with the rights below
  scanhook hooks sync%[1]s %[3]s/acme/shop
  scanhook serve%[1]s
Push, and the commit gets the status scanhook. Where it does not, scanhook check%[1]s shows what is missing.

Remove the platform that you do not use from %[2]s. What each needs, and what hooks sync does, by hand:
`
	guideToken = `
%[1]s
Token in %[2]s, with %[3]s;
  for hooks sync also %[4]s
Webhook: %[5]s`
	guideOther = `
%[1]s: uncomment %[2]s in %[3]s
`
	guideAPI = `
For CI jobs that upload reports (scanhook upload), and to log in to the pages
  SCANHOOK_URL        %[1]s
  SCANHOOK_API_TOKEN  %[2]s
`
)

func (g guide) print(out io.Writer) {
	fmt.Fprintf(out, guideStart, g.path)
	if g.local {
		fmt.Fprintf(out, "The platforms cannot reach %s: put the address that they reach into server.public_url (%s).\n",
			g.publicURL, g.lineOf(g.publicURL))
	}
	flag := ""
	if g.path != "config.yaml" {
		flag = " --config " + g.path
	}
	first := platformKinds[0]
	fmt.Fprintf(out, guideFirst, flag, g.path, first.Name, first.Token.Variable)
	for i, kind := range platformKinds {
		g.printPlatform(out, kind, g.values.Platforms[i])
	}
	fmt.Fprintf(out, guideAPI, g.publicURL, g.secret("api.tokens", g.values.APIToken))
}

func (g guide) printPlatform(out io.Writer, kind platforms.Kind, p config.StarterPlatform) {
	if p.URL == "" {
		fmt.Fprintf(out, guideOther, kind.Title, kind.Name, g.path)
		return
	}
	form := strings.NewReplacer(
		"{url}", hookAddress(g.publicURL, kind.Name),
		"{secret}", g.secret("platforms."+kind.Name+".webhook_secrets", p.Secret),
	).Replace(kind.Hook.Form)
	fmt.Fprintf(out, guideToken, kind.Title, kind.Token.Variable, kind.Token.Needs, kind.Token.ForHooks, form)
}

// secret says where a secret stands; terminals are recorded and shared more easily than files.
func (g guide) secret(key, value string) string {
	if g.showSecrets {
		return value
	}
	return fmt.Sprintf("the one at %s (%s)", key, g.lineOf(value))
}

// lineOf is the place of a value in the file.
func (g guide) lineOf(value string) string {
	before, _, _ := bytes.Cut(g.text, []byte(`"`+strings.TrimRight(value, "/")))
	return fmt.Sprintf("%s line %d", g.path, 1+bytes.Count(before, []byte("\n")))
}
