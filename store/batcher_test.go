package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/core"
)

// While the database does not answer, all who wait are told after one trial, not each after a trial of its own.
func TestBatcherGivesUpTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batcher{commit: func([]*intake) error {
			time.Sleep(intakeTimeout)
			return fmt.Errorf("%w: no answer", core.ErrUnavailable)
		}}
		began := time.Now()
		answers := make(chan error, 3*maxBatch)
		for range cap(answers) {
			go func() { answers <- b.do(t.Context(), &intake{}) }()
		}
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("answer: %v, want ErrUnavailable", err)
			}
		}
		if took := time.Since(began); took > 2*intakeTimeout {
			t.Errorf("the last answer came after %s, want at most two trials", took)
		}
		b.wait()
	})
}

// More than can be written in time is refused at once, and what nobody waits for any more is not written.
func TestBatcherBoundsTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written, release := 0, make(chan struct{})
		b := batcher{commit: func(batch []*intake) error {
			<-release
			written += len(batch)
			return nil
		}}
		ctx, hangUp := context.WithCancel(t.Context())
		go func() { _ = b.do(t.Context(), &intake{}) }()
		synctest.Wait()
		for range maxWaiting {
			go func() { _ = b.do(ctx, &intake{}) }()
		}
		synctest.Wait()
		if err := b.do(t.Context(), &intake{}); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("one too many: %v, want ErrUnavailable", err)
		}
		hangUp()
		close(release)
		b.wait()
		if written != 1 {
			t.Errorf("%d were written, want the one that was waited for", written)
		}
	})
}

// One delivery that cannot be written takes no other one with it.
func TestBatcherTriesOneByOne(t *testing.T) {
	t.Parallel()
	bad, broken := &intake{ignored: "bad"}, errors.New("broken")
	b := batcher{commit: func(batch []*intake) error {
		for _, item := range batch {
			if item == bad {
				return broken
			}
		}
		return nil
	}}
	batch := []*intake{{}, bad, {}}
	for _, item := range batch {
		item.done = make(chan error, 1)
	}
	b.settle(batch)
	for i, want := range []error{nil, broken, nil} {
		if got := <-batch[i].done; !errors.Is(got, want) {
			t.Errorf("item %d: %v, want %v", i, got, want)
		}
	}
}
