package intern_test

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/scanhook/scanhook/core/intern"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	var texts intern.Texts
	stored := map[string]string{}
	for n := range 100_000 {
		text := strings.Repeat(fmt.Sprint(n), n%40)
		if n%5000 == 0 {
			text = strings.Repeat(text+"long", 1000)
		}
		buffer := []byte(text)
		stored[text] = texts.Copy(buffer)
		if name := texts.Name(buffer); name != text {
			t.Fatalf("want %.40q, got %.40q", text, name)
		}
		clear(buffer) // copies do not depend on it
	}
	for text, kept := range stored {
		if kept != text {
			t.Fatalf("want %.40q, got %.40q", text, kept)
		}
	}
}

func TestNamesAreStoredOnce(t *testing.T) {
	t.Parallel()
	var texts intern.Texts
	first, second := texts.Name([]byte("a name")), texts.Name([]byte("a name"))
	if first != "a name" || unsafe.StringData(first) != unsafe.StringData(second) {
		t.Errorf("want one copy, got two of %q", first)
	}
	a, b := texts.Number("a name"), texts.Number("another")
	if a == b || texts.Number("another") != b || texts.Numbered(a) != "a name" || texts.Numbered(b) != "another" || texts.Numbered(9) != "" {
		t.Errorf("numbers %d and %d: %q and %q", a, b, texts.Numbered(a), texts.Numbered(b))
	}
}
