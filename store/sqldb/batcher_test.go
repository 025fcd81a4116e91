package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/core"
)

// commitTime is how long a commit takes to fail.
const commitTime = 7 * time.Second

// While the database does not answer, all who wait fail after one try, not each after a try of its own.
func TestBatcherGivesUpTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewBatcher(func([]int) error {
			time.Sleep(commitTime)
			return fmt.Errorf("%w: no answer", core.ErrUnavailable)
		})
		began := time.Now()
		answers := make(chan error, 3*maxBatch)
		for range cap(answers) {
			go func() { answers <- b.Do(t.Context(), 1) }()
		}
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("answer: %v, want ErrUnavailable", err)
			}
		}
		if took := time.Since(began); took > 2*commitTime {
			t.Errorf("the last answer came after %s, want at most two trials", took)
		}
		b.Wait()
	})
}

// More than can be written in time is refused at once, and abandoned items are not written.
func TestBatcherBoundsTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written, release := 0, make(chan struct{})
		b := NewBatcher(func(batch []int) error {
			<-release
			written += len(batch)
			return nil
		})
		ctx, hangUp := context.WithCancel(t.Context())
		go func() { _ = b.Do(t.Context(), 1) }()
		synctest.Wait()
		for range maxWaiting {
			go func() { _ = b.Do(ctx, 1) }()
		}
		synctest.Wait()
		if err := b.Do(t.Context(), 1); !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("one too many: %v, want ErrUnavailable", err)
		}
		hangUp()
		close(release)
		b.Wait()
		if written != 1 {
			t.Errorf("%d were written, want the one that was waited for", written)
		}
	})
}

// One item that cannot be written fails alone.
func TestBatcherTriesOneByOne(t *testing.T) {
	t.Parallel()
	const bad = 13
	broken := errors.New("broken")
	b := NewBatcher(func(batch []int) error {
		if slices.Contains(batch, bad) {
			return broken
		}
		return nil
	})
	var batch []*waiter[int]
	for _, item := range []int{1, bad, 2} {
		batch = append(batch, &waiter[int]{item: item, done: make(chan error, 1)})
	}
	b.settle(batch)
	for i, want := range []error{nil, broken, nil} {
		if got := <-batch[i].done; !errors.Is(got, want) {
			t.Errorf("item %d: %v, want %v", i, got, want)
		}
	}
}
