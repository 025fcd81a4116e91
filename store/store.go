// Package store keeps everything that Scanhook knows: every SQL statement and every transaction of the domain, on
// PostgreSQL and on the embedded SQLite, with one SQL text for both. Package sqldb below it has the engines.
//
// Verbs: Accept takes from outside, Claim, Finish and Settle move work along, Record keeps facts, Put is idempotent,
// Get answers core.ErrNotFound, List never does. Each method is one transaction. A transaction that decides something
// loads what the decision needs, has package core decide, and saves the result.
//
// Reading order: deliveries.go, intake.go, refs.go, jobs.go, reports.go, comparison.go, baseline.go, verdict.go, alerts.go, statuses.go (the way of
// a push); posting.go (what holds posting up, and what others posted); projects.go (whom names mean); scans.go, findings.go and project_states.go (lists);
// triage.go; tracked.go and hooks.go (what is looked after now and then); retention.go.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store/actions"
	"github.com/scanhook/scanhook/store/notes"
	"github.com/scanhook/scanhook/store/sqldb"
)

const (
	// maxTriaging bounds the transactions that wait for the lock of a project while they hold a connection; intake needs
	// some, too.
	maxTriaging = 4
	// maxReporting bounds the reports from outside that are stored at a time: more of them are not faster, and webhooks
	// would wait behind all.
	maxReporting = 4
)

// Config says where the data lives and what the transactions need to know.
type Config struct {
	URL       string                     // sqlite:FILE or postgres://…
	PublicURL string                     // what the links in commit statuses start with, without a trailing slash; may be empty
	Policies  core.Policies              // what to do for which repository
	Checks    func(platform string) bool // whether the platform has check runs; nil where none has
	Notes     func(platform string) bool // whether requests can have a comment there; nil where none can
	Scanners  core.Scanners              // all that are configured: whose reports are taken from outside
	Now       func() time.Time           // for tests that set the time; nil for the clocks of database and host
	Host      sqldb.HostClock            // the machine's when zero
	Waiting   func(what string)          // is told at once and then now and then what the migration waits for; may be nil
}

// Store is a migrated database.
type Store struct {
	db        *sqldb.DB
	clock     *sqldb.Clock
	policies  core.Policies
	checks    func(platform string) bool
	commented func(platform string) bool
	scanners  core.Scanners
	publicURL string
	intake    *sqldb.Batcher[*answered]
	keeping   *sqldb.Batcher[*keeping]
	triaging  sqldb.Slots
	reporting sqldb.Slots
	written   cache[writtenKey, time.Time] // when intake last wrote what it need not write again for a while
	projects  cache[recallKey, recalled]
	key       secrets.Key               // zero where only Attach has opened it
	refused   atomic.Pointer[refusal]   // nil when the last deliveries were written
	claims    atomic.Int64              // of statuses
	lastKept  atomic.Pointer[time.Time] // when a call was kept; nil before the first

	fresh   cache[int64, core.Delivery] // calls that this process has kept and not derived yet, as it read them
	ahead   cache[int64, core.Delivery] // those of the next batch that others have kept, or that were forgotten
	changed poll.Bell
	kept    poll.Bell
}

// Open connects, brings the schema up to date and returns the store. Two processes may open one database at once.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.URL, Waiting: cfg.Waiting})
	if err != nil {
		return nil, err
	}
	s := newStore(db, cfg)
	err = s.clock.Begin(ctx)
	if err == nil {
		s.key, err = loadKey(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// SecretKey is the key by which this installation masks secrets that are found, and tells them apart.
func (s *Store) SecretKey() secrets.Key { return s.key }

// loadKey reads the key of the installation. The first process that asks makes it.
func loadKey(ctx context.Context, db *sqldb.DB) (secrets.Key, error) {
	var stored []byte
	const query = `SELECT secret_key FROM installation WHERE id = 1`
	err := db.GetContext(ctx, &stored, query)
	if errors.Is(err, sql.ErrNoRows) {
		err = db.Transact(ctx, func(tx *sqlx.Tx) error {
			fresh := make([]byte, secrets.KeySize)
			_, _ = rand.Read(fresh) // which never fails
			_, err := tx.ExecContext(ctx, tx.Rebind(`
				INSERT INTO installation (id, secret_key) VALUES (1, ?) ON CONFLICT (id) DO NOTHING`), fresh)
			return err
		})
		if err == nil {
			err = db.GetContext(ctx, &stored, query) // another process may have been first
		}
	}
	if err == nil && len(stored) != secrets.KeySize {
		err = fmt.Errorf("%w: it has %d bytes, not %d: somebody has changed the table installation", core.ErrConflict, len(stored), secrets.KeySize)
	}
	if err != nil {
		return secrets.Key{}, fmt.Errorf("loading the key of secrets: %w", sqldb.Classify(err))
	}
	return secrets.NewKey([secrets.KeySize]byte(stored)), nil
}

// Attach opens the database at url as it is, for a command that reads it or does one thing. The schema is not touched; the
// error is core.ErrNotFound where there is no database yet.
func Attach(ctx context.Context, cfg Config) (*Store, error) {
	db, err := sqldb.Attach(ctx, cfg.URL)
	if err != nil {
		return nil, err
	}
	return newStore(db, cfg), nil
}

func newStore(db *sqldb.DB, cfg Config) *Store {
	s := &Store{
		db: db, clock: sqldb.NewClock(db, cfg.Host, cfg.Now), policies: cfg.Policies, scanners: cfg.Scanners,
		checks: cfg.Checks, commented: cfg.Notes, publicURL: cfg.PublicURL, triaging: sqldb.NewSlots(maxTriaging), reporting: sqldb.NewSlots(maxReporting),
	}
	s.fresh.most = maxFresh
	s.intake = sqldb.NewBatcher(s.commitIntake)
	s.keeping = sqldb.NewBatcher(s.commitKept)
	return s
}

// Close waits for the deliveries being committed and closes all connections.
func (s *Store) Close() error {
	s.keeping.Wait()
	s.intake.Wait()
	return s.db.Close()
}

// Ping tells whether the database answers; core.ErrUnavailable when it does not.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// refusalCounts is how long a failed write keeps the store from being ready. Afterwards calls may come again: without
// calls it would never be noticed that there is space on the disk again.
const refusalCounts = 30 * time.Second

// refusal is why a database that can be reached did not write the last deliveries.
type refusal struct {
	at  time.Time
	err error
}

// Ready tells whether deliveries can be accepted: the database answers, and has not just failed to write some, as with
// a full disk. A database that was unavailable is ready as soon as it answers. core.ErrUnavailable when they cannot.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.Refusal(); err != nil {
		return fmt.Errorf("accepting deliveries: %w", err)
	}
	return s.Ping(ctx)
}

// Refusal is why the database did not write the last deliveries though it can be reached; nil when it did, or when that
// was a while ago.
func (s *Store) Refusal() error {
	if last := s.refused.Load(); last != nil && s.Now().Sub(last.at) < refusalCounts {
		return last.err
	}
	return nil
}

// trialSize is how much TryWrite writes, in bytes: as much as a usual delivery.
const trialSize = 8 << 10

// TryWrite finds out whether the database can write, for Refusal, while no deliveries show it. It is nil for a database
// that is out of reach.
func (s *Store) TryWrite(ctx context.Context) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		var id int64
		err := tx.GetContext(ctx, &id, tx.Rebind(`INSERT INTO write_trials (at, filler) VALUES (?, ?) RETURNING id`),
			s.clock.Timestamp(), incompressible())
		if err == nil { // the rows before are of no use any more
			_, err = tx.ExecContext(ctx, tx.Rebind(`DELETE FROM write_trials WHERE id < ?`), id)
		}
		return err
	})
	s.noteWrite(err)
	return s.Refusal()
}

// incompressible is text that does not get smaller by compression.
func incompressible() string {
	random := make([]byte, trialSize/2)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

func (s *Store) noteWrite(err error) {
	switch {
	case err == nil:
		s.refused.Store(nil)
	case sqldb.IsUnwritable(err):
		s.refused.Store(&refusal{s.Now(), err})
	}
}

// Shared tells whether other processes may serve the same database; nobody shares a nil Store.
func (s *Store) Shared() bool { return s != nil && !s.db.Embedded() }

// Changed rings when jobs may have become claimable or statuses due through this process. Other processes' changes are
// found by polling.
func (s *Store) Changed() *poll.Bell { return &s.changed }

// Kept rings when this process has kept calls, which are to be derived.
func (s *Store) Kept() *poll.Bell { return &s.kept }

// write runs work in one transaction and wakes the loops, because there may be something to do.
func (s *Store) write(ctx context.Context, work func(*sqlx.Tx) error) error {
	err := sqldb.Retry(func() error { return s.db.Transact(ctx, work) })
	if err == nil {
		s.changed.Ring()
	}
	return err
}

// pruneBatch is how many rows one transaction of retention reads or removes, so that none delays a webhook.
const pruneBatch = 500

// prune runs work in one transaction, unless another replica is pruning at this moment: then nothing is done.
func (s *Store) prune(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if locked, err := s.db.TryLockTable(ctx, tx, "removed_scans"); err != nil || !locked {
			return err
		}
		return work(tx)
	})
}

// intakeTimeout bounds the transaction of a batch, including the grace of a cancelled statement: GitHub and GitLab hang
// up after ten seconds, and must hear of a failure before.
const intakeTimeout = 7 * time.Second

// commitUrgent runs the work of a batch whose callers wait for an answer in one transaction.
func (s *Store) commitUrgent(work func(context.Context, *sqlx.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), intakeTimeout)
	defer cancel()
	err := sqldb.Retry(func() error {
		return s.db.TransactUrgent(ctx, func(tx *sqlx.Tx) error { return work(ctx, tx) })
	})
	s.noteWrite(err)
	return err
}

// runUrgent is commitUrgent for one statement, which needs no transaction.
func (s *Store) runUrgent(work func(context.Context, sqlx.ExtContext) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), intakeTimeout)
	defer cancel()
	err := sqldb.Retry(func() error { return sqldb.Classify(work(ctx, s.db.Urgent())) })
	s.noteWrite(err)
	return err
}

// writeIn is write, once one of the slots for this kind of work is free.
func (s *Store) writeIn(ctx context.Context, slots sqldb.Slots, work func(*sqlx.Tx) error) error {
	release, err := slots.Take(ctx)
	if err != nil {
		return sqldb.Classify(err)
	}
	defer release()
	return s.write(ctx, work)
}

// Now is the present moment by the clock that all replicas share.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Jumped is how much of the time since then has not passed, because Now jumped over it lately; see sqldb.Clock.
func (s *Store) Jumped(then time.Time) time.Duration { return s.clock.Jumped(then) }

// Doubt is how far the shared clock has jumped away from Now, which does not follow it yet; 0 where both agree.
func (s *Store) Doubt() time.Duration { return s.clock.Doubt() }

// SyncClock compares Now with the shared clock, and returns how far a database server's is ahead of the host's.
func (s *Store) SyncClock(ctx context.Context) (time.Duration, error) { return s.clock.Sync(ctx) }

// DeadlineOf is when a scan has had its time.
func (s *Store) DeadlineOf(scan core.Scan) time.Time {
	return scan.DeadlineAt.Add(s.Jumped(scan.Timestamp))
}

// nextDeadline is when a scan that begins once more has had its time.
func (s *Store) nextDeadline(scan core.Scan) time.Time {
	return s.clock.Timestamp().Add(cmp.Or(s.policyOf(scan).ScanTimeout, scan.DeadlineAt.Sub(scan.Timestamp)))
}

// isOverdue is false for scans that were waiting when this process started, until its clock has proven itself.
func (s *Store) isOverdue(scan core.Scan, now time.Time) bool {
	return s.clock.Proven(scan.Timestamp) && !s.DeadlineOf(scan).After(now)
}

// writtenKey is something of which the latest time is kept: the use of a secret, or a signed call of a project.
type writtenKey struct {
	platform, secret string
	project          int64
}

const (
	// maxCached bounds a cache.
	maxCached = 100_000
	// maxFresh bounds the calls that are remembered as they were read, to a few megabytes. What is forgotten is read again.
	maxFresh = 2048
)

// cache is a bounded map for concurrent use. One that is full starts over.
type cache[K comparable, V any] struct {
	most    int // entries; maxCached where it is 0
	mu      sync.Mutex
	entries map[K]V
}

func (c *cache[K, V]) get(key K) (value V, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, known = c.entries[key]
	return value, known
}

func (c *cache[K, V]) has(key K) bool {
	_, known := c.get(key)
	return known
}

// take is get and drop.
func (c *cache[K, V]) take(key K) (value V, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, known = c.entries[key]
	delete(c.entries, key)
	return value, known
}

func (c *cache[K, V]) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

func (c *cache[K, V]) drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
}

func (c *cache[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries == nil || len(c.entries) >= cmp.Or(c.most, maxCached) {
		c.entries = map[K]V{}
	}
	c.entries[key] = value
}

// Notes are the comments of requests.
func (s *Store) Notes() *notes.Notes { return notes.New(s.db, s.clock.Timestamp) }

// Actions are the buttons of check runs that people have pressed.
func (s *Store) Actions() *actions.Actions { return actions.New(s.db, s.clock.Timestamp) }

// ButtonsOf is what the buttons of a scan's check run may do.
func (s *Store) ButtonsOf(scan core.Scan) buttons.Rights {
	policy := s.policyOf(scan)
	return buttons.Rights{Mode: policy.Buttons, Approval: policy.Approval}
}

// wantNotes has the comments of open requests written anew whose heads these scans are of.
func (s *Store) wantNotes(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	var commits []notes.Head
	for _, scan := range scans {
		if s.policyOf(scan).Comment.Writes() && s.Comments(scan.SourcePlatform) {
			commits = append(commits, notes.Head{ProjectID: scan.ProjectID, CommitSHA: scan.CommitSHA, Platform: scan.SourcePlatform})
		}
	}
	return s.Notes().Want(ctx, tx, commits)
}

// Comments tells whether requests of some projects of a platform may get a comment.
func (s *Store) Comments(platform string) bool {
	return s.commented != nil && s.policies.Comment() && s.commented(platform)
}

// CommentMode says whether requests of a project get a comment.
func (s *Store) CommentMode(platform, project string) core.CommentMode {
	policy, _ := s.policies.For(platform, project)
	return policy.Comment
}

// PageOf is the address of a scan's page; empty where the address of the server is not configured.
func (s *Store) PageOf(scan core.Scan) string {
	if s.publicURL == "" {
		return ""
	}
	return s.publicURL + "/scans/" + scan.ReferenceID
}

// policyOf is the scan's present policy. A repository that has left the configuration keeps the strictest defaults.
func (s *Store) policyOf(scan core.Scan) core.Policy {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		policy.Gate = core.Gate{FailOn: core.High, NewOnly: true}
	}
	return policy
}

// severityRank is core.Severity.Rank in SQL.
const severityRank = `CASE severity WHEN 'Critical' THEN 4 WHEN 'High' THEN 3 WHEN 'Medium' THEN 2 ELSE 1 END`
