// Package trace tells what happened to a push as one trace, for OpenTelemetry. The id of the trace is the reference of the
// scan, without its hyphens: every process knows it from the rows that it works on, so that their spans meet in one trace
// without anything being passed on. Binaries that are built with the tag otel send them (otel.go), others do not (off.go).
package trace

import (
	"cmp"
	"encoding/hex"
	"os"
	"strings"
	"time"
)

// Span is a step of a push.
type Span struct {
	Name       string
	Ref        string // reference id of the scan; a span without a valid one is left out
	Whole      bool   // the span of the whole push, below which all others are
	Start, End time.Time
	Failure    string // why it failed, or empty
	Attributes map[string]string
}

const idSize = 16 // bytes of a trace's id

// RefIn is the reference of the scan that a link of a commit status leads to, or empty.
func RefIn(link string) string {
	_, ref, _ := strings.Cut(link, "/scans/")
	if _, valid := traceID(ref); !valid {
		return ""
	}
	return ref
}

// traceID is a reference as the id of a trace.
func traceID(ref string) (id [idSize]byte, valid bool) {
	decoded, err := hex.DecodeString(strings.ReplaceAll(ref, "-", ""))
	if err != nil || len(decoded) != idSize {
		return id, false
	}
	return [idSize]byte(decoded), true
}

// isAskedFor tells whether OpenTelemetry's standard variables name a collector and do not switch tracing off.
func isAskedFor() bool {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	return endpoint != "" && os.Getenv("OTEL_TRACES_EXPORTER") != "none" && !strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
}
