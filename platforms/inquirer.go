package platforms

import (
	"context"

	"github.com/scanhook/scanhook/core"
)

// Inquirer is a Platform that can be asked what its webhooks leave open. Errors are those of this package; anything
// else is worth another try.
type Inquirer interface {
	// ArtifactBytes is the size of all artifacts of a finished pipeline run, in bytes; 0 where it has none.
	ArtifactBytes(ctx context.Context, project core.Project, pipeline int64) (int64, error)
	// ChangedFiles counts the files that differ between the commits; a lower bound where the platform lists no more.
	ChangedFiles(ctx context.Context, project core.Project, before, after string) (core.ChangedFiles, error)
}

// MaxArtifact is the largest size that is believed of one artifact, 1 TiB; it also keeps sums from overflowing.
const MaxArtifact = 1 << 40

// FilesUpTo is a number of files from a platform that lists at most limit of them.
func FilesUpTo(limit, listed int) core.ChangedFiles {
	return core.ChangedFiles{Count: &listed, Truncated: listed >= limit}
}
