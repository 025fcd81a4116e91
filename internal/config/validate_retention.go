package config

import "time"

// redeliverable is how long a delivery must be remembered: a platform can send it again for three days, and a person
// who mends an outage needs some more.
const redeliverable = Age(7 * day)

func (v *validator) validateRetention() {
	kept := v.config.Retention
	if kept.Deliveries != 0 && kept.Deliveries < redeliverable {
		v.errorf("retention.deliveries", "must be 7d or more: a delivery that comes again must be recognised")
	}
	if kept.Scans != 0 && kept.Scans < Age(day) {
		v.errorf("retention.scans", "must be 1d or more")
	}
	if kept.KeepScans < 1 || kept.KeepScans > maxKept {
		v.errorf("retention.keep_scans", "must be between 1 and %d", maxKept)
	}
}

// maxKept is far more scans of a project than anybody looks through.
const maxKept = 1_000_000

// Duration is the age as a duration; 0 is for ever.
func (a Age) Duration() time.Duration { return time.Duration(a) }
