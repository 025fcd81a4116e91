package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// types are those of the real adapters.
var types = []PlatformType{
	{Name: "github", Title: "GitHub", URL: "https://github.com", Apps: true, JobTokens: true},
	{Name: "gitlab", Title: "GitLab", URL: "https://gitlab.com", SigningTokens: true, JobTokens: true},
	{Name: "gitea", Title: "Gitea", Aliases: []string{"forgejo"}},
}

// variables is an environment for Parse.
type variables map[string]string

func (v variables) lookup(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

func mustParse(t *testing.T, text string, env variables) *Config {
	t.Helper()
	config, err := Parse("c.yaml", []byte(text), types, env.lookup)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return config
}

// problemsOf parses a text that must be wrong and returns the lines of its error.
func problemsOf(t *testing.T, text string, env variables) []string {
	t.Helper()
	config, err := Parse("c.yaml", []byte(text), types, env.lookup)
	var failure *Error
	if !errors.As(err, &failure) || config != nil {
		t.Fatalf("Parse = %v, %v; want no configuration and an *Error", config, err)
	}
	return strings.Split(err.Error(), "\n")
}

// reference is the text of the commented config.yaml in the root of the repository.
func reference(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
