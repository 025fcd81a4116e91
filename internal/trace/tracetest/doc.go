// Package tracetest collects the spans that tests send, in programs with the tag otel.
package tracetest
