package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

const (
	scoresPerInsert = 1000  // keeps one statement below SQLite's 32,766 parameters
	progressEvery   = 10000 // rows
)

// replaceFeed stages the edition beside the table and then changes what differs: an update costs what it changes.
func (s *Store) replaceFeed(
	ctx context.Context, tx *sqlx.Tx, feed core.Feed, progress func(int),
) (core.FeedChange, error) {
	if progress == nil {
		progress = func(int) {}
	}
	var empty bool
	if err := tx.GetContext(ctx, &empty, `SELECT NOT EXISTS (SELECT 1 FROM epss_data)`); err != nil {
		return core.FeedChange{}, err
	}
	if empty && feed.Kind == core.FeedEPSS {
		return core.FeedChange{Added: len(feed.Scores)}, s.load(ctx, tx, "epss_data", feed.Scores, progress)
	}
	if _, err := tx.ExecContext(ctx, s.dialect.stageScores); err != nil {
		return core.FeedChange{}, err
	}
	if err := s.load(ctx, tx, "epss_staged", feed.Scores, progress); err != nil {
		return core.FeedChange{}, err
	}
	merge := mergeScores
	if feed.Kind == core.FeedKEV {
		merge = mergeCatalog
	}
	change, err := merge(ctx, tx)
	if err == nil {
		_, err = tx.ExecContext(ctx, `DROP TABLE epss_staged`)
	}
	return change, err
}

// load writes rows into table, a name of ours.
func (s *Store) load(ctx context.Context, tx *sqlx.Tx, table string, scores []core.Score, progress func(int)) error {
	into := table + ` (cve_id, probability, percentile)`
	if s.dialect.copies {
		return copyScores(ctx, tx, `COPY `+into+` FROM STDIN`, scores, progress)
	}
	return insertScores(ctx, tx, `INSERT INTO `+into+` VALUES `, scores, progress)
}

func copyScores(ctx context.Context, tx *sqlx.Tx, statement string, scores []core.Score, progress func(int)) error {
	rows, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for i, score := range scores {
		if _, err := rows.ExecContext(ctx, score.CVEID, score.Probability, score.Percentile); err != nil {
			return err
		}
		if (i+1)%progressEvery == 0 {
			progress(i + 1)
		}
	}
	_, err = rows.ExecContext(ctx) // without values: the end of the rows
	return err
}

func insertScores(ctx context.Context, tx *sqlx.Tx, statement string, scores []core.Score, progress func(int)) error {
	for done := 0; done < len(scores); {
		batch := scores[done:min(done+scoresPerInsert, len(scores))]
		args := make([]any, 0, 3*len(batch))
		for _, score := range batch {
			args = append(args, score.CVEID, score.Probability, score.Percentile)
		}
		if _, err := tx.ExecContext(ctx, statement+tuples(len(batch), 3), args...); err != nil {
			return err
		}
		done += len(batch)
		progress(done)
	}
	return nil
}

// gone is true for a row of epss_data that the staged edition does not hold.
const gone = `NOT EXISTS (SELECT 1 FROM epss_staged s WHERE s.cve_id = epss_data.cve_id)`

// mergeScores makes epss_data hold the staged scores. CVEs without a score remain only as entries of the catalog.
func mergeScores(ctx context.Context, tx *sqlx.Tx) (change core.FeedChange, err error) {
	change.Added, err = affected(ctx, tx, `
		INSERT INTO epss_data (cve_id, probability, percentile)
		SELECT cve_id, probability, percentile FROM epss_staged s
		WHERE NOT EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = s.cve_id)`)
	if err != nil {
		return change, err
	}
	change.Changed, err = affected(ctx, tx, `
		UPDATE epss_data SET probability = s.probability, percentile = s.percentile
		FROM epss_staged s
		WHERE s.cve_id = epss_data.cve_id
			AND (epss_data.probability <> s.probability OR epss_data.percentile <> s.percentile)`)
	if err != nil {
		return change, err
	}
	if stale, err := holdsMore(ctx, tx); err != nil || !stale {
		return change, err
	}
	change.Removed, err = affected(ctx, tx,
		`DELETE FROM epss_data WHERE NOT kev AND `+gone,
		`UPDATE epss_data SET probability = 0, percentile = 0 WHERE kev AND (probability > 0 OR percentile > 0) AND `+gone)
	return change, err
}

// holdsMore tells, once all staged scores are in epss_data, whether it may hold others. Counting is cheaper than
// looking; it proves nothing where scores are zero, as they are for entries of the catalog without a score.
func holdsMore(ctx context.Context, tx *sqlx.Tx) (more bool, err error) {
	err = tx.GetContext(ctx, &more, `
		SELECT EXISTS (SELECT 1 FROM epss_staged WHERE probability = 0 AND percentile = 0)
			OR (SELECT COUNT(*) FROM epss_data WHERE NOT kev OR probability > 0 OR percentile > 0)
				<> (SELECT COUNT(*) FROM epss_staged)`)
	return more, err
}

// mergeCatalog marks the staged CVEs, and only those, as known to be exploited. Its changes are those that entered or
// left the catalog.
func mergeCatalog(ctx context.Context, tx *sqlx.Tx) (change core.FeedChange, err error) {
	change.Added, err = affected(ctx, tx, `
		UPDATE epss_data SET kev = TRUE
		WHERE NOT kev AND EXISTS (SELECT 1 FROM epss_staged s WHERE s.cve_id = epss_data.cve_id)`, `
		INSERT INTO epss_data (cve_id, probability, percentile, kev)
		SELECT cve_id, 0, 0, TRUE FROM epss_staged s
		WHERE NOT EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = s.cve_id)`)
	if err != nil {
		return change, err
	}
	change.Removed, err = affected(ctx, tx,
		`DELETE FROM epss_data WHERE kev AND probability = 0 AND percentile = 0 AND `+gone,
		`UPDATE epss_data SET kev = FALSE WHERE kev AND `+gone)
	return change, err
}

// affected runs statements and counts the rows that they changed.
func affected(ctx context.Context, tx *sqlx.Tx, statements ...string) (int, error) {
	sum := 0
	for _, statement := range statements {
		result, err := tx.ExecContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		sum += int(n)
	}
	return sum, nil
}
