package config

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/scanhook/scanhook/internal/config/strictyaml"
	"github.com/scanhook/scanhook/internal/suggest"
)

// Error holds all that is wrong with a configuration file.
type Error = strictyaml.Error

// validator finds what is well formed but makes no sense. Its messages name keys, scanners and what may be written
// instead, and never a value: one that came from the wrong variable may be a secret.
type validator struct {
	*strictyaml.Report
	config *Config
}

func (v *validator) checkSecrets(path string, secrets []Secret) {
	for i, secret := range secrets {
		v.checkSecret(fmt.Sprintf("%s[%d]", path, i), secret)
	}
}

// minSecret is the length in bytes below which a secret can be found by trying.
const minSecret = 8

func (v *validator) checkSecret(path string, secret Secret) {
	switch text := secret.Reveal(); {
	case isEmpty(secret):
	case strings.TrimSpace(text) != text:
		v.Errorf(path, "starts or ends with white space, perhaps the line break of the file that it was read from: take it "+
			"away, the other side does not send it")
	case len(text) < minSecret:
		v.Warnf(path, "is so short that it can be guessed: use %d characters or more, better 32", minSecret)
	}
}

func (v *validator) checkGlobs(path string, globs []string) {
	for i, glob := range globs {
		v.checkGlob(fmt.Sprintf("%s[%d]", path, i), glob)
	}
}

func (v *validator) checkGlob(path, glob string) {
	if glob == "" {
		v.Errorf(path, "is missing: write a name or a glob such as release/**")
	} else if !doublestar.ValidatePattern(glob) {
		v.Errorf(path, "is not a glob: close every [ and {, and write \\ before one that is meant as it is")
	}
}

// checkURL wants the address of a web page or API below which paths can be built.
func (v *validator) checkURL(path, address string) {
	parsed, err := url.Parse(address)
	switch {
	case err != nil || parsed.Hostname() == "" || parsed.Scheme != "http" && parsed.Scheme != "https":
		v.Errorf(path, "must be an address that starts with https:// or http:// and a host")
	case parsed.User != nil:
		v.Errorf(path, "must not hold a user name or password")
	case strings.ContainsAny(address, "?#"):
		v.Errorf(path, "must end with its path, without ? and #")
	}
}

// checkChoice wants one word out of a few.
func (v *validator) checkChoice(path, word string, choices ...string) {
	last := len(choices) - 1
	list := choices[last]
	if last > 0 {
		list = strings.Join(choices[:last], ", ") + " or " + list
	}
	switch {
	case word == "":
		v.Errorf(path, "is missing: write %s", list)
	case !slices.Contains(choices, word):
		v.Errorf(path, "must be %s%s", list, suggest.DidYouMean(word, choices))
	}
}

var pathSegment = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// checkName wants a name that can stand in an address as it is.
func (v *validator) checkName(path, name string) {
	if !pathSegment.MatchString(name) {
		v.Errorf(path, "has a name that cannot be part of an address: use lower-case letters, digits, - and _")
	}
}

// warnOfStranger warns of a match that begins with no configured platform, most often because the platform was left
// out ("acme/*").
func (v *validator) warnOfStranger(path, match string) {
	start, _, _ := strings.Cut(match, "/")
	if start == "" || !doublestar.ValidatePattern(start) || len(v.reached(Repository{Match: match})) > 0 {
		return
	}
	platforms := slices.Sorted(maps.Keys(v.config.Platforms))
	v.Warnf(path, "begins with none of the configured platforms: write platform/project, such as github/acme/*%s",
		suggest.Valid(start, "platforms", platforms))
}

func (v *validator) reached(repository Repository) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.config.Platforms)), func(platform string) bool {
		return !repository.Reaches(platform)
	})
}
