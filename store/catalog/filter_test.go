package catalog_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

// The index of words follows alerts: what they say now is found, and nothing that they said before.
func TestWordsFollowAlerts(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		s := &stock{t: t, now: time.Now(), Store: storetest.OpenAt(t, url, store.Config{}), indexed: true}
		said := func(message string) func(*core.Finding) {
			return func(f *core.Finding) { f.Message = message }
		}
		s.scan(1, "acme/shop", "main", found(1, core.Low, said("Ein Überlauf in <b>grüßen</b>, nicht—aber.")))
		search := func(text string) []string { return s.titles(catalog.Filter{Text: text}, catalog.Newest, 5) }
		for _, text := range []string{"Überlauf F1", "grüß", "nicht", "b", "src/b/f1.go"} {
			if got := search(text); !slices.Equal(got, []string{"Flaw 1"}) {
				t.Errorf("%s: %v", text, got)
			}
		}
		storetest.Execute(t, url, `UPDATE alerts SET words = 'It is `+strings.Repeat("é", 400)+` overflowing'`)
		if got := search("grüß"); got != nil {
			t.Errorf("what it said before: %v", got)
		}
		for _, text := range []string{"overflow", strings.Repeat("é", 300), "' | \"flaw\" * : & (1)"} {
			if got := search(text); !slices.Equal(got, []string{"Flaw 1"}) {
				t.Errorf("%s: %v", text, got)
			}
		}
		storetest.Execute(t, url, `DELETE FROM open_alerts; DELETE FROM findings; DELETE FROM alerts`)
		if got := search("overflow"); got != nil {
			t.Errorf("of an alert that is gone: %v", got)
		}
	})
}
