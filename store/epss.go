package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// FeedOptions adjusts PutFeed.
type FeedOptions struct {
	Force    bool           // also take an edition that is older than the one stored
	Progress func(rows int) // told now and then how many rows are written; may be nil
}

// PutFeed makes an edition of a list the one that findings are joined with; what it no longer holds is forgotten. It is
// stored as a whole or not at all, and the same once more changes nothing. ReevaluateHeads draws the consequences.
// core.ErrConflict when it is older than the edition stored.
func (s *Store) PutFeed(ctx context.Context, feed core.Feed, options FeedOptions) (core.FeedChange, error) {
	var change core.FeedChange
	err := s.transact(ctx, func(tx *sqlx.Tx) (err error) {
		change, err = s.putFeed(ctx, tx, feed, options)
		return err
	})
	if err != nil {
		return core.FeedChange{}, fmt.Errorf("importing %s: %w", feed.Source, err)
	}
	return change, nil
}

func (s *Store) putFeed(
	ctx context.Context, tx *sqlx.Tx, feed core.Feed, o FeedOptions,
) (change core.FeedChange, err error) {
	if _, err := tx.ExecContext(ctx, s.dialect.beginFeed); err != nil {
		return change, err
	}
	stored, err := latestFeed(ctx, tx, feed.Kind)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return change, err
	}
	if feed.Digest != "" && feed.Digest == stored.Digest {
		return change, s.keepFeed(ctx, tx, stored.ID)
	}
	if err := refuseOlder(feed, stored); err != nil && !o.Force {
		return change, err
	}
	id, err := s.recordFeed(ctx, tx, feed)
	if err != nil {
		return change, err
	}
	if err := rememberRisks(ctx, tx, id, s.clock().Add(-openFor)); err != nil {
		return change, err
	}
	if change, err = s.replaceFeed(ctx, tx, feed, o.Progress); err != nil {
		return change, err
	}
	return change, forgetUnmoved(ctx, tx)
}

// refuseOlder compares days: one day's edition is published with and without its time.
func refuseOlder(feed core.Feed, stored core.FeedImport) error {
	if feed.Date.IsZero() || stored.Date == nil || !day(feed.Date).Before(day(*stored.Date)) {
		return nil
	}
	return fmt.Errorf("%w: it is of %s, and the edition of %s is stored already; force the import to go back",
		core.ErrConflict, feed.Date.Format(time.DateOnly), stored.Date.Format(time.DateOnly))
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func (s *Store) recordFeed(ctx context.Context, tx *sqlx.Tx, feed core.Feed) (id int64, err error) {
	var date *time.Time
	if !feed.Date.IsZero() {
		utc := feed.Date.UTC().Truncate(time.Microsecond)
		date = &utc
	}
	now := s.clock()
	err = tx.GetContext(ctx, &id, tx.Rebind(`
		INSERT INTO epss_imports (kind, source, score_date, model_version, etag, digest, num_rows, imported_at,
			checked_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		RETURNING id`),
		feed.Kind, feed.Source, date, feed.Version, feed.ETag, feed.Digest, len(feed.Scores), now, now)
	return id, err
}

func (s *Store) keepFeed(ctx context.Context, tx *sqlx.Tx, id int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE epss_imports SET checked_at = ? WHERE id = ?`), s.clock(), id)
	return err
}

// KeepFeed notes that an imported edition is still the current one.
func (s *Store) KeepFeed(ctx context.Context, id int64) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error { return s.keepFeed(ctx, tx, id) })
	if err != nil {
		return fmt.Errorf("keeping import %d: %w", id, err)
	}
	return nil
}

// LatestFeed is the edition of a list that is stored; core.ErrNotFound when none was imported yet.
func (s *Store) LatestFeed(ctx context.Context, kind core.FeedKind) (core.FeedImport, error) {
	feed, err := latestFeed(ctx, s.db, kind)
	if err != nil {
		return core.FeedImport{}, fmt.Errorf("getting the latest import of %s: %w", kind, classify(err))
	}
	return feed, nil
}

func latestFeed(ctx context.Context, q sqlx.ExtContext, kind core.FeedKind) (feed core.FeedImport, err error) {
	err = sqlx.GetContext(ctx, q, &feed, q.Rebind(`
		SELECT `+feedColumns+` FROM epss_imports WHERE kind = ? ORDER BY id DESC LIMIT 1`), kind)
	return feed, err
}

// GetScore finds what is known about a CVE, whose id is written the usual way; core.ErrNotFound when nothing is.
func (s *Store) GetScore(ctx context.Context, cve string) (core.Score, error) {
	var score core.Score
	err := s.db.GetContext(ctx, &score, s.db.Rebind(`SELECT `+scoreColumns+` FROM epss_data WHERE cve_id = ?`), cve)
	if err != nil {
		return core.Score{}, fmt.Errorf("getting the score of %s: %w", cve, classify(err))
	}
	return score, nil
}
