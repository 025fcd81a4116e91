package api_test

import (
	"testing"

	"github.com/scanhook/scanhook/store/storetest"
)

func TestListsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 5 {
		b.push(t, n)
	}
	var seen []string
	for path := "/api/v1/scans?limit=2"; path != ""; {
		var page results
		b.call(t, "viewer", "GET", path, "", &page)
		for _, item := range page.Items {
			seen = append(seen, item["commit_sha"].(string))
		}
		path = ""
		if page.Next != "" {
			path = "/api/v1/scans?limit=2&cursor=" + page.Next
		}
	}
	if len(seen) != 5 || seen[0] != storetest.SHA(4) || seen[4] != storetest.SHA(0) {
		t.Errorf("scans listed: %v", seen)
	}
	var bad results
	if got := b.call(t, "viewer", "GET", "/api/v1/scans?cursor=%21", "", &bad); got.Code != 422 {
		t.Errorf("a made-up cursor: %d", got.Code)
	}
	b.call(t, "viewer", "GET", "/api/v1/scans?branch=main&status=pending&commit="+storetest.SHA(2), "", &bad)
	if len(bad.Items) != 1 {
		t.Errorf("filtered: %d scans, want 1", len(bad.Items))
	}
}
