package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/scanhook/scanhook/internal/jsonscan"
)

// What we take for JSON must be what encoding/json takes for it, however the bytes arrive.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		``, ` `, `{`, `}`, `[1,2`, `[1,]`, `{"a":1,}`, `{,}`, `[,1]`, `{"a" 1}`, `{"a":}`, `{1:2}`, `{"a":1 "b":2}`, `[1 2]`,
		`"a`, `"\`, `"\x"`, `"\u12"`, `"\u12G4"`, `"\uD800"`, "\"\x01\"", "\"\xff\"", `"12345678\"12345678"`, "\"1234567\t\"",
		`-`, `-0`, `01`, `1.`, `.5`, `1.5e`, `1e+`, `1E-07`, `-1.25e+10`, `1x`, `tru`, `truex`, `nul`, `false`, `null `, "\x00",
		`{"a":[{"b":{}},[],"c",1e5,true,false,null]}`, `1 2`, `{} []`, "\uFEFF{}", strings.Repeat(`[`, 10_001),
		strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000), strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want := json.Valid(data)
		for name, r := range map[string]io.Reader{
			"at once": bytes.NewReader(data), "byte by byte": iotest.OneByteReader(bytes.NewReader(data)),
			"the end with the last bytes": iotest.DataErrReader(bytes.NewReader(data)),
		} {
			if err := valid(r); (err == nil) != want {
				t.Errorf("%s: want %t, got %v for %q", name, want, err, data)
			}
		}
	})
}

func TestScanPassesOnWhatTheReaderFailsWith(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `{"a`, `[1`, `tr`, `"\u0`} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrClosedPipe))
		if err := valid(r); err != io.ErrClosedPipe { //nolint:errorlint // it must not even be wrapped
			t.Errorf("%q: want %v, got %v", text, io.ErrClosedPipe, err)
		}
	}
}

// valid tells whether r holds one JSON value and nothing else.
func valid(r io.Reader) error {
	s := jsonscan.NewScanner(r)
	if _, err := s.Value(); err != nil {
		return err
	}
	if _, err := s.Peek(); !errors.Is(err, io.EOF) {
		return errors.New("more than a value")
	}
	return nil
}

func TestElements(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{
		`[]`: nil, ` [ ] `: nil, `null`: nil, `"[1]"`: nil, `{"a": [1]}`: nil, ``: nil,
		`["a", {"b": [1, "]"]} ,[2],null]`: {`"a"`, `{"b": [1, "]"]}`, `[2]`, `null`},
		`[1, 2`:                            {`1`, `2`}, `[1 2]`: {`1`}, `[1, ]`: {`1`}, `[1, x]`: {`1`},
	} {
		var got []string
		for element := range jsonscan.Elements([]byte(list)) {
			got = append(got, string(element))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", list, got, want)
		}
	}
}
