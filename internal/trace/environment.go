package trace

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// settings are OpenTelemetry's standard variables, as far as they are for spans.
type settings struct {
	endpoint string // http(s), with its path
	headers  http.Header
	timeout  time.Duration
	every    time.Duration // between two calls
	resource map[string]string
}

const (
	prefix         = "OTEL_EXPORTER_OTLP_"
	defaultTimeout = 10 * time.Second
	defaultEvery   = 5 * time.Second
)

// FromEnvironment reads OpenTelemetry's standard variables. The tracer is nil where they name no endpoint, or switch
// tracing off. Version is that of the program.
func FromEnvironment(lookup func(string) (string, bool), version string, log *slog.Logger) (*Tracer, error) {
	get := func(name string) string { value, _ := lookup(name); return strings.TrimSpace(value) }
	ours := func(name string) string { return cmp.Or(get(prefix+"TRACES_"+name), get(prefix+name)) }
	endpoint := get(prefix + "TRACES_ENDPOINT")
	if base := get(prefix + "ENDPOINT"); endpoint == "" && base != "" {
		endpoint = strings.TrimRight(base, "/") + "/v1/traces"
	}
	if endpoint == "" || get("OTEL_TRACES_EXPORTER") == "none" || strings.EqualFold(get("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	if parsed, err := url.Parse(endpoint); err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return nil, fmt.Errorf("%sENDPOINT must be an address such as http://127.0.0.1:4318", prefix)
	}
	if ours("PROTOCOL") == "grpc" {
		return nil, fmt.Errorf("%sPROTOCOL is grpc, which is not spoken here: use http/json, and the collector's port for HTTP, 4318", prefix)
	}
	s := settings{endpoint: endpoint, headers: http.Header{}, resource: pairs(get("OTEL_RESOURCE_ATTRIBUTES"))}
	s.timeout = milliseconds(ours("TIMEOUT"), defaultTimeout)
	s.every = milliseconds(get("OTEL_BSP_SCHEDULE_DELAY"), defaultEvery)
	for name, value := range pairs(ours("HEADERS")) {
		s.headers.Set(name, value)
	}
	s.resource["service.name"] = cmp.Or(get("OTEL_SERVICE_NAME"), s.resource["service.name"], "scanhook")
	s.resource["service.version"] = version
	return &Tracer{settings: s, log: log}, nil
}

// milliseconds is a duration that stands as a number in a variable; usual where it is none.
func milliseconds(text string, usual time.Duration) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(n) * time.Millisecond
	}
	return usual
}

// pairs reads k=v,k=v with percent-encoded values.
func pairs(text string) map[string]string {
	list := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if plain, err := url.PathUnescape(strings.TrimSpace(value)); ok && err == nil {
			list[strings.TrimSpace(name)] = plain
		}
	}
	return list
}
