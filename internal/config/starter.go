package config

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed starter.yaml
var starter string

// StarterValues is what a new installation does not share with others.
type StarterValues struct {
	PublicURL string // http(s)
	APIToken  string // of a token with the role uploader, fresh random text; empty leaves it out
	Platforms []StarterPlatform
}

// StarterPlatform is a platform of a new installation.
type StarterPlatform struct {
	Type     string
	URL      string // empty: the entry is commented out, because somebody has to fill in its address
	Secret   string // fresh random text; empty switches the platform off
	Note     string // about the webhook's secret; continues a sentence
	Variable string // that holds the token
	Needs    string // of the token; continues a sentence
}

// Starter renders a short, commented configuration, which holds the secrets in clear text. Parse reads it back to the
// same values.
func Starter(values StarterValues) []byte {
	var platforms strings.Builder
	for _, p := range values.Platforms {
		platforms.WriteString(p.render())
	}
	return []byte(strings.NewReplacer(
		"@PublicURL@", literal(values.PublicURL),
		"@Platforms@", platforms.String(),
		"@APIToken@", literal(values.APIToken),
	).Replace(starter))
}

const starterPlatform = `  # Webhook address: <public_url>/webhooks/%[1]s, %[4]s.
  %[1]s:
    url: %[2]s
    webhook_secrets: [%[3]s]
    # Needs %[6]s.
    # Without a token nothing is posted.
    token: "${%[5]s:-}"
`

const starterComment = `  # Needs %[3]s.
  #%[1]s:
    #url: https://git.example.com
    #webhook_secrets: ["..."]
    #token: "${%[2]s:-}"
`

func (p StarterPlatform) render() string {
	if p.URL == "" {
		return fmt.Sprintf(starterComment, p.Type, p.Variable, p.Needs)
	}
	return fmt.Sprintf(starterPlatform, p.Type, p.URL, literal(p.Secret), p.Note, p.Variable, p.Needs)
}

// literal writes text so that neither YAML nor the replacement of variables changes it: Go's escapes in ASCII are a
// part of those that YAML knows between double quotes.
func literal(text string) string { return strconv.QuoteToASCII(strings.ReplaceAll(text, "$", "$$")) }
