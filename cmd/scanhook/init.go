package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/internal/config"
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

func newInit(opts *options) *cobra.Command {
	var run initiation
	cmd := &cobra.Command{
		Use: "init", Short: "Write a commented configuration with fresh secrets, and say what to do next",
		Long: "Writes the file named by --config (default config.yaml), which only you can read, with a webhook secret\n" +
			"for GitHub, one for GitLab and a token for the API, and says what to enter on the platforms.",
		Example: "  scanhook init --public-url https://scanhook.example.com\n" +
			"  scanhook init --config /etc/scanhook/config.yaml --show-secrets",
		Args: exactly(0), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			run.path = opts.config
			cfg, text, err := run.render()
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			if err := run.write(text); err != nil {
				return err
			}
			newGuide(run, cfg, text).print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().StringVar(&run.values.PublicURL, "public-url", "http://localhost:8080",
		"`URL` at which the platforms and people reach Scanhook")
	cmd.Flags().BoolVar(&run.force, "force", false, "replace the file, and the secrets in it, where it exists")
	cmd.Flags().BoolVar(&run.showSecrets, "show-secrets", false, "print the secrets, too")
	return cmd
}

// render makes the file's text with fresh secrets, and reads it back, which tells whether the public URL makes sense.
func (i *initiation) render() (*config.Config, []byte, error) {
	i.values.GitHubSecret, i.values.GitLabSecret, i.values.APIToken = newSecret(), newSecret(), newSecret()
	text := config.Starter(i.values)
	cfg, err := config.Parse(i.path, text, func(string) (string, bool) { return "", false })
	if wrong := new(config.Error); errors.As(err, &wrong) {
		return nil, nil, fmt.Errorf("--public-url: %s", wrong.Problems[0].Message)
	}
	return cfg, text, err
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
