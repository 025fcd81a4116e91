package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// keep keeps the call of a push, and returns its receipt.
func (b *bench) keep(t *testing.T, n int) core.Receipt {
	t.Helper()
	d := storetest.With(storetest.PushOf(n))
	receipt, err := b.store.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// derive derives all kept calls, by a program that reads a push or fails.
func (b *bench) derive(t *testing.T, n int, fault error) {
	t.Helper()
	_, err := b.store.Derive(t.Context(), store.Deriver{Version: "1", Most: 9, Read: func(call core.KeptCall) (core.Delivery, error) {
		return storetest.With(storetest.PushOf(n)), fault
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// setAside keeps a call that cannot be derived, and returns its id.
func (b *bench) setAside(t *testing.T) int64 {
	t.Helper()
	d, _ := storetest.PushOf(77)
	receipt, err := b.store.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("x"), Unread: true})
	if err != nil {
		t.Fatal(err)
	}
	b.derive(t, 77, errors.New("the parser is out of order"))
	return receipt.Delivery
}

type deliveryAnswer struct {
	ID                    int64
	State, Outcome, Error string
	Scan                  string
	ReceivedAt            time.Time  `json:"received_at"`
	DerivedAt             *time.Time `json:"derived_at"`
}

// A scan can be asked for as soon as the call is answered, and a call tells what became of it.
func TestDeliveryFromTheCallToItsScan(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	kept := b.keep(t, 3)
	path := "/api/v1/deliveries/1"
	var delivery deliveryAnswer
	b.call(t, "triager", "GET", path, "", &delivery)
	if delivery.State != "kept" || delivery.Outcome != "" || delivery.Scan != kept.Reference || delivery.DerivedAt != nil {
		t.Errorf("before it is derived: %+v", delivery)
	}
	var scan struct {
		Status      string
		ReferenceID string `json:"reference_id"`
		CommitSHA   string `json:"commit_sha"`
		ProjectName string `json:"project_name"`
	}
	b.call(t, "triager", "GET", "/api/v1/scans/"+kept.Reference, "", &scan)
	if scan.Status != "pending" || scan.ReferenceID != kept.Reference || scan.CommitSHA != storetest.SHA(3) || scan.ProjectName != "acme/shop" {
		t.Errorf("the scan before: %+v", scan)
	}
	b.derive(t, 3, nil)
	b.call(t, "triager", "GET", path, "", &delivery)
	if delivery.State != "derived" || delivery.Outcome != "scan_created" || delivery.Scan != kept.Reference || delivery.DerivedAt == nil {
		t.Errorf("afterwards: %+v", delivery)
	}
	if got, err := b.store.GetScan(t.Context(), kept.Reference); err != nil || got.CommitSHA != storetest.SHA(3) {
		t.Errorf("the scan afterwards: %+v, %v", got, err)
	}
	if answer := b.call(t, "triager", "GET", "/api/v1/deliveries/2", "", nil); answer.Code != http.StatusNotFound {
		t.Errorf("an unknown delivery: %d", answer.Code)
	}
	if answer := b.call(t, "admin", "POST", path+"/derive", "", nil); answer.Code != http.StatusConflict {
		t.Errorf("deriving it again: %d", answer.Code)
	}
}

// An upload for a scan that is promised waits for the call to be derived.
func TestUploadBeforeItsCallIsDerived(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	kept := b.keep(t, 3)
	derived := time.AfterFunc(50*time.Millisecond, func() { b.derive(t, 3, nil) })
	defer derived.Stop()
	answer := b.call(t, "uploader", "PUT", "/api/v1/scans/"+kept.Reference+"/results/trivy", report, nil)
	if answer.Code != http.StatusOK {
		t.Errorf("answer: %d %s", answer.Code, answer.Body)
	}
}

func TestDeliveryThatIsSetAside(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	id := b.setAside(t)
	var list struct{ Items []deliveryAnswer }
	b.call(t, "triager", "GET", "/api/v1/deliveries?state=failed", "", &list)
	if len(list.Items) != 1 || list.Items[0].ID != id || !strings.Contains(list.Items[0].Error, "out of order") {
		t.Fatalf("set aside: %+v", list)
	}
	var delivery deliveryAnswer
	if answer := b.call(t, "admin", "POST", "/api/v1/deliveries/1/derive", "", &delivery); answer.Code != http.StatusAccepted || delivery.State != "kept" {
		t.Errorf("to be derived again: %d %+v", answer.Code, delivery)
	}
	b.derive(t, 77, nil)
	delivery = deliveryAnswer{}
	b.call(t, "triager", "GET", "/api/v1/deliveries/1", "", &delivery)
	if delivery.State != "derived" || delivery.Error != "" {
		t.Errorf("derived again: %+v", delivery)
	}
}
