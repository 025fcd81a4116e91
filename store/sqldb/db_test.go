package sqldb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// hold takes the right to write and reports the name when it has it.
func hold(t *testing.T, w *writer, as priority, name string, order chan<- string) {
	t.Helper()
	go func() {
		release, err := w.take(t.Context(), as)
		if err != nil {
			t.Error(err)
			return
		}
		order <- name
		time.Sleep(time.Second)
		release()
	}()
	synctest.Wait()
}

func TestUrgentTransactionsWriteFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(sqlite)
		order := make(chan string, 5)
		hold(t, w, normal, "upload 1", order)
		hold(t, w, normal, "upload 2", order)
		hold(t, w, normal, "upload 3", order)
		hold(t, w, urgent, "push", order)
		hold(t, w, normal, "upload 4", order)
		for _, want := range []string{"upload 1", "upload 2", "push", "upload 3", "upload 4"} {
			if got := <-order; got != want {
				t.Errorf("%s wrote when it was the turn of %s", got, want)
			}
		}
		time.Sleep(time.Minute)
	})
}

func TestWaitingToWriteEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(sqlite)
		release, err := w.take(t.Context(), normal)
		if err != nil {
			t.Fatal(err)
		}
		for _, as := range []priority{normal, urgent} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := w.take(ctx, as); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("priority %d: %v, want the context's error", as, err)
			}
			cancel()
		}
		release()
		if release, err = w.take(t.Context(), normal); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		release()
	})
}
