package api

import (
	"context"
	"time"

	"github.com/scanhook/scanhook/core"
)

// mergeBaseTimeout is how long a report waits for the platform: the default branch is nearly as good to compare with.
const mergeBaseTimeout = 5 * time.Second

// findMergeBase makes sure that the store knows where the scan's branch left the default branch, as far as the platform
// tells. It is an aid: no failure of it fails the upload.
func (a *API) findMergeBase(ctx context.Context, scan core.Scan) {
	ctx, cancel := context.WithTimeout(ctx, mergeBaseTimeout)
	defer cancel()
	if _, err := a.Platforms.FindMergeBase(ctx, scan, a.Store.RecordMergeBase); err != nil {
		a.Log.InfoContext(ctx, "merge base not known, compared with the default branch", "scan", scan.ReferenceID,
			"project", scan.ProjectName, "commit", scan.CommitSHA, "error", err)
	}
}
