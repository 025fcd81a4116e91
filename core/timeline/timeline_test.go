package timeline_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/timeline"
)

func TestEventsNameTheSecret(t *testing.T) {
	t.Parallel()
	for want, delivery := range map[string]core.KeptDelivery{
		`github announced "push" with a valid signature: ignored`: {},
		`github announced "push" with a valid signature, by webhook_secrets[0] (aa): ignored`: {
			VerifiedBy: "webhook_secrets[0] (aa)", Signed: true,
		},
		`github announced "push" with a valid token, by webhook_secrets[0] (aa): ignored`: {
			VerifiedBy: "webhook_secrets[0] (aa)",
		},
	} {
		delivery.Platform, delivery.Event, delivery.Outcome = "github", "push", core.OutcomeIgnored
		if got := (timeline.Record{Deliveries: []core.KeptDelivery{delivery}}).Events()[0].Text; got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}
