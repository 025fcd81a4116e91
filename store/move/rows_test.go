package move

import (
	"math"
	"testing"
	"time"
)

// What the drivers read of equal values is one value; PostgreSQL's answers text of unknown types as bytes.
func TestValuesAreEqualOnBothEngines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 4, 5, 6, 123456000, time.UTC)
	for name, test := range map[string]struct {
		kind             kind
		sqlite, postgres any
	}{
		"text":                  {text, "🦊", "🦊"},
		"text written as bytes": {text, []byte("a"), "a"},
		"bytes written as text": {octets, "a", []byte("a")},
		"no bytes":              {octets, []byte(nil), []byte{}},
		"UUID":                  {identifier, "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", []byte("6ba7b810-9dad-11d1-80b4-00c04fd430c8")},
		"true":                  {boolean, int64(1), true},
		"false":                 {boolean, int64(0), false},
		"largest number":        {integer, int64(math.MaxInt64), int64(math.MaxInt64)},
		"whole number":          {float, int64(2), 2.0},
		"fraction":              {float, 1.0 / 3, 1.0 / 3},
		"time":                  {moment, at.Add(999), at.In(time.FixedZone("", 3600))},
		"nothing":               {moment, nil, nil},
	} {
		of := func(read any) string {
			value, err := test.kind.value(read)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return string(appendValue(nil, value))
		}
		if sqlite, postgres := of(test.sqlite), of(test.postgres); sqlite != postgres {
			t.Errorf("%s: %q on SQLite, %q on PostgreSQL", name, sqlite, postgres)
		}
	}
}

func TestValuesOfOtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	for kind, read := range map[kind]any{
		text: int64(1), octets: 1.5, boolean: "yes", integer: "1", float: "1.5", moment: "2026-01-01", identifier: int64(1),
	} {
		if value, err := kind.value(read); err == nil {
			t.Errorf("kind %d takes %v as %v", kind, read, value)
		}
	}
}

// Rows count in any order, and whatever differs between them makes a difference.
func TestChecksum(t *testing.T) {
	t.Parallel()
	sumOf := func(rows ...[]any) checksum {
		var sum checksum
		for _, values := range rows {
			var bytes []byte
			for _, value := range values {
				bytes = appendValue(bytes, value)
			}
			sum.add(bytes)
		}
		return sum
	}
	a, b := []any{"a", "bc", nil, int64(1)}, []any{"", "x", "", int64(0)}
	sum := sumOf(a, b)
	if sum != sumOf(b, a) {
		t.Error("the order of rows counts")
	}
	for name, other := range map[string]checksum{
		"a row less": sumOf(a), "a row twice": sumOf(a, a, b), "a row in place of another": sumOf(a, a),
		"swapped values":              sumOf([]any{"bc", "a", nil, int64(1)}, b),
		"characters moved":            sumOf([]any{"ab", "c", nil, int64(1)}, b),
		"empty for null":              sumOf([]any{"a", "bc", "", int64(1)}, b),
		"false for 0":                 sumOf(a, []any{"", "x", "", false}),
		"values of another row":       sumOf([]any{"a", "x", nil, int64(1)}, []any{"", "bc", "", int64(0)}),
		"another number":              sumOf(a, []any{"", "x", "", int64(256)}),
		"a fraction of a microsecond": sumOf(a, []any{"", "x", "", math.SmallestNonzeroFloat64}),
	} {
		if other == sum {
			t.Errorf("%s makes no difference", name)
		}
	}
}
