package api

import (
	"context"
	"time"
)

// mergeBaseTimeout is how long a report waits for the platform: the default branch is nearly as good to compare with.
const mergeBaseTimeout = 5 * time.Second

// findMergeBase asks the platform, once per scan, where its branch left the default branch. It is an aid: no failure of
// it fails the upload.
func (a *API) findMergeBase(ctx context.Context, reference string) {
	ctx, cancel := context.WithTimeout(ctx, mergeBaseTimeout)
	defer cancel()
	scan, err := a.Store.GetScan(ctx, reference)
	if err != nil {
		return // storing the report says so
	}
	sha, err := a.Platforms.MergeBase(ctx, scan)
	if err == nil && sha != "" {
		err = a.Store.RecordMergeBase(ctx, scan, sha)
	}
	if err != nil {
		a.Log.InfoContext(ctx, "merge base not known, compared with the default branch", "scan", reference,
			"project", scan.ProjectName, "commit", scan.CommitSHA, "error", err)
	}
}
