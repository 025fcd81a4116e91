package store_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestExpectedCanBeTakenBack(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	steady(t, s)
	scan := record(t, s, 26, artifact(169e6))
	id := metrics(t, s)[25].ID
	for _, expected := range []bool{true, false} {
		marked, err := s.PutExpected(t.Context(), id, expected, "ada")
		named := marked.ExpectedBy == "ada"
		if err != nil || marked.Expected != expected || named != expected || len(marked.Readings) == 0 {
			t.Errorf("marked %+v, %v", marked, err)
		}
		if got := pipelineStatus(t, s, scan).Description; strings.HasPrefix(got, "expected: ") != expected {
			t.Errorf("expected %v: %q", expected, got)
		}
	}
}
