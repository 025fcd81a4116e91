package details_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core/details"
)

// What is packed unpacks as it was, compressed or not, and packs to the same again.
func TestPackAndCompress(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]details.Details{
		"short": {Markdown: "<b> \x00 é"},
		"long":  {Text: strings.Repeat("word ", 100), Flows: []details.Flow{{Steps: []details.Place{{File: "a", ID: new(0)}}}}, Omitted: 3},
	} {
		packed := details.Pack(want)
		for _, form := range []string{packed, string(details.Compress(packed)), string(details.Compress(string(details.Compress(packed))))} {
			got, err := details.Unpack(form)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(name, err, diff)
			}
		}
		if again := details.Edit(packed, func(*details.Details) {}); again != packed {
			t.Errorf("%s: %s is edited to %s", name, packed, again)
		}
	}
	if packed := details.Pack(details.Details{Flows: []details.Flow{{Message: "no steps"}}}); packed != "" {
		t.Errorf("nothing is packed as %s", packed)
	}
	some := details.Flow{Steps: []details.Place{{File: "a"}}}
	if packed := details.Pack(details.Details{Flows: []details.Flow{some, {}, some}}); packed != details.Pack(details.Details{Flows: []details.Flow{some, some}}) {
		t.Errorf("a flow without steps is packed: %s", packed)
	}
	if got, err := details.Unpack(`{"flows":[{"steps":null},{"steps":[{"file":"a"}]}]}`); err != nil || len(got.Flows) != 1 {
		t.Errorf("a flow without steps is unpacked: %+v, %v", got, err)
	}
	if _, err := details.Unpack("\x01broken"); err == nil {
		t.Error("no error for what is not compressed")
	}
}

// A fix that is too long is left out whole, as a part of one does harm; other texts are cut.
func TestTooMuchIsLeftOut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x ", 30<<10)
	places := make([]details.Place, 60)
	got, err := details.Unpack(details.Pack(details.Details{
		Fixes: []details.Fix{{Diff: long}}, Markdown: long, Related: places,
		Flows: []details.Flow{{Steps: make([]details.Place, 150)}, {Steps: make([]details.Place, 150)}},
	}))
	if err != nil || len(got.Fixes) > 0 || len(got.Markdown) > details.MaxText || len(got.Markdown) < details.MaxText-4 || len(got.Related) != details.MaxPlaces ||
		len(got.Flows[0].Steps)+len(got.Flows[1].Steps) != details.MaxSteps || got.Omitted != 1+10+100 {
		t.Errorf("%v: %d fixes, %d bytes, %d places, %d flows, %d left out", err, len(got.Fixes), len(got.Markdown), len(got.Related), len(got.Flows), got.Omitted)
	}
}

// A text is cut before a word: a part of a secret could not be masked.
func TestClip(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"short": "short", "key: 0123456789": "key: …", `key="0123456789`: `key="…`, "0123456789abcdef": "…", "ends ends ends": "ends …", "é é é é é": "é é é …",
	} {
		if got := details.Clip(text, 12); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}

// Whatever is stored, reading and packing it ends, in bounds.
func FuzzUnpack(f *testing.F) {
	f.Add(details.Pack(details.Details{Text: "a", Related: []details.Place{{ID: new(1)}}, Fixes: []details.Fix{{Changes: []details.Change{{Line: 1}}}}}))
	f.Add(string(details.Compress(details.Pack(details.Details{Text: strings.Repeat("a ", 500)}))))
	f.Fuzz(func(t *testing.T, packed string) {
		d, err := details.Unpack(packed)
		if err != nil {
			return
		}
		again := details.Pack(d)
		back, err := details.Unpack(again)
		if err != nil || details.Pack(back) != again {
			t.Errorf("%q: %v, then %q", packed, err, again)
		}
	})
}
