package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestMeterRewritesItsLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := &Meter{out: &out, name: "a.csv", width: 80}
	if _, err := io.Copy(io.Discard, m.Reading(strings.NewReader("1234"), 8)); err != nil {
		t.Fatal(err)
	}
	m.Rows(20000)
	m.Clear()
	const line = "\r\033[K"
	want := line + "a.csv: 50 % read" + line + "a.csv: 20,000 rows stored" + line
	if got := out.String(); got != want {
		t.Errorf("meter wrote %q, want %q", got, want)
	}
	narrow := &Meter{out: &out, name: "https://epss.example.com/" + strings.Repeat("a/", 60) + "scores.csv", width: 30}
	if got := narrow.fit("50 % read"); got != "…/a/a/a/scores.csv: 50 % read" {
		t.Errorf("in 30 columns: %q", got)
	}
	silent := NewMeter(&out, "b.csv")
	silent.Rows(1)
	silent.Clear()
	if out.String() != want {
		t.Errorf("where there is no terminal, the meter wrote %q", out.String()[len(want):])
	}
}
