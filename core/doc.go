// Package core holds Scanhook's words and rules: what a push, a scan, a finding and a commit status are, which moves
// they may make, and the pure functions that decide (severity order, fingerprint, baseline, gate, summary, status).
//
// It does no I/O. Every other room imports it, it imports none of them; reading order is event.go, scan.go, finding.go,
// fingerprint.go, baseline.go, gate.go, risk.go, summary.go, status.go, triage.go; then anomaly.go (unusual pipelines),
// silence.go (webhooks that stopped calling) and sighting.go (statuses that others posted).
package core
