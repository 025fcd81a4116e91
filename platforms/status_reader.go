package platforms

import (
	"context"

	"github.com/scanhook/scanhook/core"
)

// StatusReader is a Platform that tells what it shows. A platform whose webhooks do that as well is asked less.
type StatusReader interface {
	// LatestStatus is what stands in the place of a posted status. ErrUnknownCommit when nothing is found there; other
	// errors are those of this package, or worth another try.
	LatestStatus(ctx context.Context, status core.Status) (core.StatusSeen, error)
}
