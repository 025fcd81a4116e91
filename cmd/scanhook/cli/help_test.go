package cli

import "testing"

func TestWrapTable(t *testing.T) {
	t.Parallel()
	text := "Examples:\n  a very  long example\nFlags:\n  -x, --long NAME   some words\n  more\n"
	want := "Examples:\n  a very  long example\nFlags:\n  -x, --long NAME   some\n                    words\n  more\n"
	if got := wrapTable(text, 27); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWrapProseKeepsLists(t *testing.T) {
	t.Parallel()
	text := "One long\nsentence:\n  ok    works\n  fail  is broken, and more\nThe end.\n\nAnother one."
	want := "One long sentence:\n  ok    works\n  fail  is broken,\n        and more\nThe end.\n\nAnother one."
	if got := wrapProse(text, 18); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
