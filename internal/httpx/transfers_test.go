package httpx_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

// sender needs a second for each read.
type sender struct{ bytes int }

func (s sender) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return min(s.bytes, len(p)), nil
}

func TestSlowestTransferIsAbortedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var transfers httpx.Transfers
		var aborted []string
		begin := func(name string, perSecond int) *httpx.Transfer {
			transfer := transfers.Begin(func() { aborted = append(aborted, name) })
			if perSecond > 0 {
				go func() {
					for range 3 {
						_, _ = transfer.Read(sender{perSecond}, make([]byte, 1<<20))
					}
				}()
			}
			return transfer
		}
		// Each of them has sent something after a second, and nothing more half a second later.
		begin("steady", 40<<10)
		begin("slow", 10<<10)
		begin("stalled", 0)
		begin("gone", 0).End()
		begin("trickling", 1)
		transfers.AbortSlowest()
		if len(aborted) != 0 {
			t.Errorf("%v aborted at once, want none yet", aborted)
		}
		time.Sleep(1500 * time.Millisecond)
		for range 5 {
			transfers.AbortSlowest()
		}
		if want := []string{"stalled", "trickling", "slow"}; !slices.Equal(aborted, want) {
			t.Errorf("aborted %v, want %v", aborted, want)
		}
		time.Sleep(time.Minute)
	})
}

// The time in which a sender waits for us does not count, however long.
func TestSendersThatWaitForUsAreNotAborted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var transfers httpx.Transfers
		transfer := transfers.Begin(func() { t.Error("aborted") })
		transfer.Pause()
		for range 5 {
			time.Sleep(time.Hour)
			transfers.AbortSlowest()
			_, _ = transfer.Read(strings.NewReader("a"), make([]byte, 1))
		}
	})
}

func TestNilTransferOnlyReads(t *testing.T) {
	t.Parallel()
	var none *httpx.Transfer
	none.Pause()
	none.End()
	if text, err := io.ReadAll(readerOf(none, strings.NewReader("abc"))); string(text) != "abc" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

type reader struct {
	transfer *httpx.Transfer
	source   io.Reader
}

func readerOf(transfer *httpx.Transfer, source io.Reader) io.Reader { return reader{transfer, source} }

func (r reader) Read(p []byte) (int, error) { return r.transfer.Read(r.source, p) }
