package platformtest

import (
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

// RunKind makes sure that a kind describes itself fully, and that its adapter accepts the calls that it signs. The
// configuration completes what is the same for all kinds.
func RunKind(t *testing.T, kind platforms.Kind, config platforms.Config) {
	t.Helper()
	config.Name, config.WebhookSecrets = kind.Name, []string{"another secret", Secret}
	platform, err := kind.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, event := range kind.Events {
		header, err := kind.Sign(platforms.Call{Event: event, Body: []byte("{}"), Secret: Secret})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := platform.Verify(header, []byte("{}")); err != nil || !platforms.CanVerify(platform, header) {
			t.Errorf("the call of %s is not verified: %v", name, err)
		}
		_, err = platform.Parse(header, []byte(`{"repository":{},"project":{}}`))
		if err != nil && !IsInvalid(err) {
			t.Errorf("the call of %s is not read: %v", name, err)
		}
	}
	for _, text := range []string{kind.Title, kind.Token.Variable, kind.Token.Needs, kind.Token.ForHooks, kind.Hook.Note} {
		if text == "" {
			t.Errorf("a text is missing: %+v", kind)
		}
	}
	if form := kind.Hook.Form; !strings.Contains(form, "{url}") || !strings.Contains(form, "{secret}") {
		t.Errorf("the form of a webhook lacks its address or secret: %s", form)
	}
	links(t, kind.Links)
}

func links(t *testing.T, links platforms.Links) {
	t.Helper()
	const project = "https://git.example.com/acme/shop"
	for _, address := range []string{
		links.CommitURL(project, SHA), links.BranchURL(project, "main"), links.FileURL(project, SHA, "a/b", 1, 2),
		links.FileURL(project, SHA, "a/b", 1, 0), links.RequestURL(project, 7), links.PipelineURL(project, 7),
	} {
		parsed, err := url.Parse(address)
		if err != nil || len(address) <= len(project)+1 || strings.ContainsAny(parsed.Path, "{}") {
			t.Errorf("%s is not a page of the project: %v", address, err)
		}
	}
}
