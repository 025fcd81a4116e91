package platforms

import (
	"encoding/json"
	"time"
)

// Time is a moment of a payload in UTC: RFC 3339, the two spellings of GitLab, or Unix seconds. A broken one is zero.
type Time struct{ time.Time }

// UnmarshalJSON never fails.
func (t *Time) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		t.Time = parseTime(text)
		return nil
	}
	if seconds := Number(data).Int(); seconds > 0 {
		t.Time = plausible(time.Unix(seconds, 0))
	}
	return nil
}

// parseTime knows no zone names besides UTC: Go would read any other as an offset of zero.
func parseTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 -0700"} {
		if moment, err := time.Parse(layout, text); err == nil {
			return plausible(moment)
		}
	}
	return time.Time{}
}

// plausible drops Go's and Unix' zero times, and years that a database refuses.
func plausible(moment time.Time) time.Time {
	moment = moment.UTC()
	if moment.Unix() <= 0 || moment.Year() > 9999 {
		return time.Time{}
	}
	return moment
}

// Between is the time from start to end, 0 where the platform has them in the wrong order, nil where one is unknown.
func Between(start, end Time) *time.Duration {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	duration := max(end.Sub(start.Time), 0)
	return &duration
}
