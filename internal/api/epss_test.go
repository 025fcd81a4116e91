package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestGetEPSS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.knows(t, core.Score{CVEID: "CVE-2024-0001", Probability: 0.85974, Percentile: 0.99712})
	var got map[string]any
	b.call(t, "triager", http.MethodGet, "/api/v1/epss/cve-2024-0001", "", &got)
	want := map[string]any{
		"cve_id": "CVE-2024-0001", "probability": 0.85974, "percentile": 0.99712, "kev": false,
		"score_date": "2026-08-16T00:00:00Z", "model_version": "v4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("score (-want +got):\n%s", diff)
	}
	b.call(t, "triager", http.MethodGet, "/api/v1/epss/CVE-2024-0003", "", &got)
	if got["probability"] != 0.0 || got["kev"] != true {
		t.Errorf("a vulnerability of the catalog without a score = %v", got)
	}
	for path, c := range map[string]struct {
		code   int
		detail string
	}{
		"CVE-2024-0009": {http.StatusNotFound, "scanhook epss import"},
		"log4shell":     {http.StatusUnprocessableEntity, "is not a CVE id such as"},
	} {
		answer := b.call(t, "triager", http.MethodGet, "/api/v1/epss/"+path, "", nil)
		if answer.Code != c.code || !strings.Contains(detail(t, answer), c.detail) {
			t.Errorf("%s: %d %s, want %d", path, answer.Code, answer.Body, c.code)
		}
	}
	answer := b.call(t, "", http.MethodGet, "/api/v1/epss/CVE-2024-0001", "", nil)
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", answer.Code)
	}
}
