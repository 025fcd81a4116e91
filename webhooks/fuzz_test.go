package webhooks_test

import (
	"path"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
)

// Whatever Mallory signs is about his own projects or about none.
func FuzzForgeries(f *testing.F) {
	for _, forgery := range githubForgeries {
		f.Add("github", forgery.event, forgery.body)
	}
	for _, forgery := range gitlabForgeries {
		f.Add("gitlab", forgery.event, forgery.body)
	}
	for _, call := range within {
		f.Add(call.platform, call.event, call.body)
	}
	set := scopedSet(f)
	f.Fuzz(func(t *testing.T, platform, event, body string) {
		adapter, known := set[platform]
		if !known {
			return
		}
		call := sealAs(t, platform, fakeforge.Config{Secret: mallorys}, event, body)
		verification, err := adapter.Verify(call.Header, call.Body)
		if err != nil {
			t.Fatalf("want Mallory's secret to be known, got %v", err)
		}
		delivery, err := adapter.Parse(call.Header, call.Body)
		if err != nil {
			return
		}
		if delivery, err = verification.Authorize(delivery); err != nil {
			return
		}
		_, idle := delivery.Event.(core.Ignored)
		for _, project := range []string{delivery.Project, delivery.Subject().Name} {
			if own, _ := path.Match("mallory/*", project); !own && (!idle || project != "") {
				t.Errorf("Mallory speaks for %q: %+v", project, delivery)
			}
		}
		if delivery.Subject().Ref != "" {
			t.Errorf("Mallory tells the number of a project: %+v", delivery)
		}
	})
}
