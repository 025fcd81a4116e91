package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/scanhook/scanhook/core"
)

// Outcomes of a call besides those of core.
const (
	OutcomeInvalid core.Outcome = "invalid" // authentic, but not what its event header says
	OutcomeFailed  core.Outcome = "failed"  // not stored; the platform was asked to send it again
)

type webhooks struct{ deliveries, refused *prometheus.CounterVec }

func newWebhooks(registry *prometheus.Registry) webhooks {
	return webhooks{
		deliveries: counter(registry, "webhook_deliveries_total",
			"Webhook calls with a valid signature, by outcome.", "platform", "event", "outcome"),
		refused: counter(registry, "webhook_refused_total", "Webhook calls with a wrong signature or none.", "platform"),
	}
}

// Delivered counts an authentic webhook call. Platform is a key of the configuration; event may be nil.
func (m *Meter) Delivered(platform string, event core.Event, outcome core.Outcome) {
	if m != nil {
		m.webhooks.deliveries.WithLabelValues(platform, eventName(event), string(outcome)).Inc()
	}
}

// Refused counts a webhook call that could not be verified. Platform is a key of the configuration.
func (m *Meter) Refused(platform string) {
	if m != nil {
		m.webhooks.refused.WithLabelValues(platform).Inc()
	}
}

func eventName(event core.Event) string {
	switch event.(type) {
	case core.Push:
		return "push"
	case core.Pipeline:
		return "pipeline"
	}
	return "other"
}
