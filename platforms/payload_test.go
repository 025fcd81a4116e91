package platforms_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// A text that is read at once is what it is in all others ways, too.
func FuzzText(f *testing.F) {
	for _, text := range []string{``, `"`, `""`, `"main"`, `"a b~"`, "\"\x7f\"", `"\u0041"`, `"a\"b"`, `"\\"`, `"ä"`, `1`, `null`, "\"\xff\"", `"` + strings.Repeat("a", 1100) + `"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var plain string
		if !json.Valid(data) {
			return
		}
		want := platforms.Text("")
		if json.Unmarshal(data, &plain) == nil {
			want = platforms.Text(platforms.Clean(plain))
		}
		var got platforms.Text
		if err := json.Unmarshal(data, &got); err != nil || got != want {
			t.Errorf("%q: %q, want %q, %v", data, got, want, err)
		}
	})
}

func TestTextIsSafeToStore(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`"größer"`: "größer", `null`: "", `7`: "", `["a"]`: "", `"a\u0000b\nc"`: "abc", `"\ud800"`: "\uFFFD",
		`"` + strings.Repeat("a", 999) + `ü"`: strings.Repeat("a", 999),
	} {
		var got platforms.Text
		if err := json.Unmarshal([]byte(input), &got); err != nil || string(got) != want {
			t.Errorf("%.20s: want %.20q, got %.20q, %v", input, want, got, err)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		number  int64
		seconds any // nil is unknown
	}{
		`63`: {63, 63.0}, `63.5`: {63, 63.5}, `"63"`: {63, 63.0}, `-25`: {-25, 0.0}, `0`: {0, 0.0}, `null`: {0, nil},
		`"many"`: {0, nil}, `1e400`: {0, nil}, `"NaN"`: {0, nil}, `{}`: {0, nil}, `true`: {0, nil},
		`9007199254740993`: {9007199254740993, nil}, `1e300`: {0, nil},
	}
	for input, test := range tests {
		var got platforms.Number
		if err := json.Unmarshal([]byte(input), &got); err != nil {
			t.Errorf("%s: %v", input, err)
		}
		var seconds any
		if duration := got.Seconds(); duration != nil {
			seconds = duration.Seconds()
		}
		if got.Int() != test.number || seconds != test.seconds {
			t.Errorf("%s: want %d and %v s, got %d and %v s", input, test.number, test.seconds, got.Int(), seconds)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	noon := time.Date(2021, 4, 28, 12, 0, 0, 0, time.UTC)
	for input, want := range map[string]time.Time{
		`"2021-04-28T12:00:00Z"`: noon, `"2021-04-28T14:00:00+02:00"`: noon, `"2021-04-28 12:00:00 UTC"`: noon,
		`"2021-04-28 14:00:00 +0200"`: noon, `"2021-04-28T12:00:00.886Z"`: noon.Add(886 * time.Millisecond),
		`1619611200`: noon, `"2015-04-08T21: 00:25-07:00"`: {}, `"2021-04-28 12:00:00 CEST"`: {}, `null`: {}, `{}`: {},
		`"0001-01-01T00:00:00Z"`: {}, `0`: {}, `99999999999999`: {},
	} {
		var got platforms.Time
		if err := json.Unmarshal([]byte(input), &got); err != nil || !got.Equal(want) {
			t.Errorf("%s: want %s, got %s, %v", input, want, got.Time, err)
		}
	}
}

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	var target struct {
		Name string
		List []int
	}
	if err := platforms.DecodeObject([]byte(` {"Name":7,"List":["x",2],"More":[[]]}`), &target); err != nil {
		t.Errorf("values of other types: want no error, got %v", err)
	}
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	for _, body := range []string{"", " ", "null", "[{}]", `"{}"`, "{]", "{}{}", deep} {
		if err := platforms.DecodeObject([]byte(body), &target); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%.20q: want core.ErrInvalid, got %v", body, err)
		}
	}
	err := platforms.DecodeObject([]byte(`{"a":1,}`), &target)
	if err == nil || !strings.Contains(err.Error(), "byte 8") {
		t.Errorf("want the place of the fault, got %v", err)
	}
}

func TestBodiesOfTooManyObjects(t *testing.T) {
	t.Parallel()
	body := `{"pull_requests":[` + strings.Repeat("{},", 1_000_001) + `{}]}`
	if err := platforms.DecodeObject([]byte(body), &json.RawMessage{}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("want too large, got %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	type element struct {
		ID platforms.Number `json:"id"`
	}
	long := func(element string, n int) string { return "[" + strings.Repeat(element+",", n) + `{"id":7}]` }
	for name, c := range map[string]struct {
		json  string
		want  int
		isNil bool
	}{
		"none":                 {`null`, 0, true},
		"another type":         {`{"id":1}`, 0, true},
		"empty":                {`[]`, 0, false},
		"of elements":          {`[{"id":1},{"id":2}]`, 2, false},
		"of wrong types":       {`[1,null,[],{"id":2}]`, 4, false},
		"long":                 {long(`{"id":"`+strings.Repeat("1", 100)+`"}`, 999), 1000, false},
		"of very short values": {long("0", 10<<20), 50_000, false},
		"long, another type":   {`"` + strings.Repeat("x", 100_000) + `"`, 0, true},
	} {
		var got struct {
			List platforms.List[element] `json:"list"`
		}
		if err := platforms.DecodeObject([]byte(`{"list":`+c.json+`}`), &got); err != nil || len(got.List) != c.want || (got.List == nil) != c.isNil {
			t.Errorf("%s: %d elements, nil %t, %v", name, len(got.List), got.List == nil, err)
		}
	}
}

// A text that was cut is no part of the whole one, which would stay in memory with it.
func TestCutTextIsACopy(t *testing.T) {
	t.Parallel()
	whole := strings.Repeat("x", 10_000)
	if cut := platforms.Clean(whole); len(cut) != platforms.MaxText || unsafe.StringData(cut) == unsafe.StringData(whole) {
		t.Errorf("%d bytes of the same text", len(cut))
	}
}
