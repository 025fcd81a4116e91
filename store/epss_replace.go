package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// progressEvery is how many rows go in between two words about it.
const progressEvery = 10000

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
		return core.FeedChange{Added: len(feed.Scores)}, s.loadScores(ctx, tx, "epss_data", feed.Scores, progress)
	}
	if _, err := tx.ExecContext(ctx, s.dialect.stageScores); err != nil {
		return core.FeedChange{}, err
	}
	if err := s.loadScores(ctx, tx, "epss_staged", feed.Scores, progress); err != nil {
		return core.FeedChange{}, err
	}
	var change core.FeedChange
	var err error
	if feed.Kind == core.FeedKEV {
		change, err = mergeCatalog(ctx, tx)
	} else {
		change, err = mergeScores(ctx, tx, len(feed.Scores))
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `DROP TABLE epss_staged`)
	}
	return change, err
}

// loadScores fills a table of the columns of epss_data.
func (s *Store) loadScores(ctx context.Context, tx *sqlx.Tx, table string, scores []core.Score, progress func(int)) error {
	return s.load(ctx, tx, bulk{
		table: table, columns: []string{"cve_id", "probability", "percentile"}, rows: len(scores), loaded: progress,
		row: func(i int, values []any) []any {
			return append(values, scores[i].CVEID, scores[i].Probability, scores[i].Percentile)
		},
	})
}

// gone is true for a row of epss_data that the staged edition does not hold.
const gone = `NOT EXISTS (SELECT 1 FROM epss_staged s WHERE s.cve_id = epss_data.cve_id)`

// mergeScores makes epss_data hold the staged scores, so many. CVEs without a score remain only as entries of the
// catalog. Where all have changed, as they do from day to day, none is new, and looking for new ones would take as long
// as a third of the rest.
func mergeScores(ctx context.Context, tx *sqlx.Tx, staged int) (change core.FeedChange, err error) {
	change.Changed, err = affected(ctx, tx, `
		UPDATE epss_data SET probability = s.probability, percentile = s.percentile
		FROM epss_staged s
		WHERE s.cve_id = epss_data.cve_id
			AND (epss_data.probability <> s.probability OR epss_data.percentile <> s.percentile)`)
	if err != nil {
		return change, err
	}
	if change.Changed < staged {
		change.Added, err = affected(ctx, tx, `
			INSERT INTO epss_data (cve_id, probability, percentile)
			SELECT cve_id, probability, percentile FROM epss_staged s
			WHERE NOT EXISTS (SELECT 1 FROM epss_data e WHERE e.cve_id = s.cve_id)`)
	}
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
