package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store/sqldb"
)

// answered is one request and, once its batch is on disk, the answer.
type answered struct {
	intake.Request
	receipt core.Receipt
}

// Accept keeps a delivery that no platform sent, with all that follows from it: it is on disk when the receipt is returned.
// core.ErrUnavailable when the database is unavailable.
func (s *Store) Accept(ctx context.Context, d core.Delivery) (core.Receipt, error) {
	request, err := s.requestOf(ctx, d)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	receipt, err := s.takeIn(ctx, request)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	return receipt, nil
}

// requestOf is what a delivery asks for, under the name that its project has here.
func (s *Store) requestOf(ctx context.Context, d core.Delivery) (request intake.Request, err error) {
	wish := intake.WishOf(d, s.policies)
	request = intake.Request{Delivery: &d, Policy: wish.Policy, Ignored: wish.Reason}
	push, pushed := d.Event.(core.Push)
	run, ran := d.Event.(core.Pipeline)
	about, requested := d.Event.(core.Request)
	action, pressed := d.Event.(core.CheckAction)
	switch {
	case pushed && !wish.Idle:
		project, err := s.resolveFor(ctx, &d, push.Project)
		request.Word, request.Closing = intake.WordOf(project.ID, d, push), intake.ClosingOf(project.ID, push)
		request.Word.At = s.cameAt(d)
		if wish.Commit != "" {
			request.Scan = s.scanOf(d, push, project, wish.Policy)
		}
		return request, err
	case requested && !wish.Idle:
		project, err := s.resolveFor(ctx, &d, about.Project)
		s.askForRequest(&request, about, project, wish)
		return request, err
	case pressed && !wish.Idle:
		_, err := s.resolveFor(ctx, &d, action.Project)
		request.Action = &action
		return request, err
	case ran && !wish.Idle:
		project, err := s.resolveFor(ctx, &d, run.Project)
		request.Scan, request.Pipeline = s.scanOfPipeline(run, project, wish.Policy), &run
		request.Foreign = s.foreignTo(request.Scan, wish.Policy)
		return request, err
	}
	change, changed := d.Event.(core.ProjectChange)
	if changed {
		request.Ignored = change.Reason()
		if err := s.noteChange(ctx, d, change); err != nil {
			return request, err
		}
	}
	_, err = s.projectOfCall(ctx, &d, !changed)
	return request, err
}

// AcceptCommit makes sure that a commit named by hand or by an upload has a scan, and audits who named it if that
// created one. core.ErrNotFound when the repository is not configured or not known, see projectOfScan.
func (s *Store) AcceptCommit(ctx context.Context, scan core.Scan, by string) (core.Receipt, error) {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		return core.Receipt{}, fmt.Errorf("%w: %s", core.ErrNotFound, intake.NotConfigured(scan.SourcePlatform, scan.ProjectName))
	}
	project, err := s.projectOfScan(ctx, scan)
	if errors.Is(err, core.ErrNotFound) || err == nil && project.Ref == "" { // the call that tells its number may be kept already
		if err = s.awaitDerived(ctx); err == nil {
			project, err = s.projectOfScan(ctx, scan)
		}
	}
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, err)
	}
	scan.DefaultBranch = cmp.Or(scan.DefaultBranch, project.DefaultBranch)
	s.prepare(&scan, project, policy)
	if err := s.nameCommit(ctx, &scan); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, sqldb.Classify(err))
	}
	request := intake.Request{
		Scan: &scan, Policy: policy, Actor: by, Word: intake.Named(project.ID, scan), Foreign: s.foreignTo(&scan, policy),
	}
	receipt, err := s.takeIn(ctx, request)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, err)
	}
	return receipt, nil
}

// resolveFor finds the project of a delivery, which is kept under the project's name.
func (s *Store) resolveFor(ctx context.Context, d *core.Delivery, subject core.Project) (core.KeptProject, error) {
	seen := s.sightingOf(*d, subject)
	if d.Name == core.OriginReconcile { // which goes by the name
		seen.At, seen.Undated = time.Time{}, false
	}
	project, err := s.settleProject(ctx, seen)
	d.ProjectID = project.ID
	if core.SameProject(d.Project, subject.Name) {
		d.Project = project.Name
	}
	return project, err
}

// takeIn returns when the request is on disk.
func (s *Store) takeIn(ctx context.Context, request intake.Request) (core.Receipt, error) {
	item := &answered{Request: request}
	if err := s.intake.Do(ctx, item); err != nil {
		return core.Receipt{}, sqldb.Classify(err)
	}
	return item.receipt, nil
}

// commitIntake writes a batch in one transaction, set by set: a handful of statements however many deliveries it holds.
func (s *Store) commitIntake(batch []*answered) error {
	requests := make([]*intake.Request, len(batch))
	for n, item := range batch {
		requests[n] = &item.Request
	}
	var items []*intake.Item
	err := s.commitUrgent(func(ctx context.Context, tx *sqlx.Tx) (err error) {
		items, err = s.takeInBatch(ctx, tx, requests)
		return err
	})
	if err != nil {
		return err
	}
	s.changed.Ring()
	for n, item := range items {
		batch[n].receipt = item.Receipt
	}
	return nil
}

// takeInBatch loads what is known, has core/intake decide, and saves that. Scans are opened before they are loaded: of two
// processes that open the same one, the other waits and finds it.
func (s *Store) takeInBatch(ctx context.Context, tx *sqlx.Tx, requests []*intake.Request) ([]*intake.Item, error) {
	received, err := s.loadReceived(ctx, tx, requests)
	if err != nil {
		return nil, err
	}
	items := intake.Admit(requests, received)
	if err := s.lockRefs(ctx, tx, items); err != nil {
		return nil, err
	}
	changes, err := receiveRequests(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	existing, err := s.openWanted(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	plan := intake.Decide(items, existing)
	plan.Changes = changes
	return items, s.saveIntake(ctx, tx, plan)
}

// saveIntake saves a plan. Where refs stand, and which scans are restarted and superseded, is decided on the way, by the rows as
// they are then.
func (s *Store) saveIntake(ctx context.Context, tx *sqlx.Tx, plan intake.Plan) error {
	openings, others, jobs := plan.Openings()
	for _, save := range []func() error{
		func() error { return joinScans(ctx, tx, plan.Joins) },
		func() error { return s.restartScans(ctx, tx, plan.Restarts) },
		func() error { return s.insertJobs(ctx, tx, jobs) },
		func() error { return s.putStatuses(ctx, tx, others) },
		func() error { return s.adoptScans(ctx, tx, plan.Adopted) },
		func() error { return s.followRequests(ctx, tx, plan) },
		func() error { return s.moveRefs(ctx, tx, plan.Moves, openings) },
		func() error { return s.judgeMoved(ctx, tx, plan.Joins) },
		func() error { return s.endClosed(ctx, tx, plan.Closings) },
		func() error { return s.addFileTasks(ctx, tx, plan.FileTasks) },
		func() error { return s.recordRuns(ctx, tx, plan.Runs, plan.Informed) },
		func() error { return s.putActions(ctx, tx, plan.Actions) },
		func() error { return s.keepDeliveries(ctx, tx, plan.Kept) },
		func() error { return s.settleDeliveries(ctx, tx, plan.Kept) },
	} {
		if err := save(); err != nil {
			return err
		}
	}
	for _, event := range plan.Audit {
		if err := s.audit(ctx, tx, event); err != nil {
			return err
		}
	}
	return nil
}

// Deriver derives what follows from kept calls.
type Deriver struct {
	Version string // of this program: what it set aside, another version tries again
	Read    func(core.KeptCall) (core.Delivery, error)
	Most    int // calls in one transaction
	Short   int // the same of an embedded database while calls come, which it does not keep meanwhile; 0 is Most
}

// derivation is a kept call with what was read of it.
type derivation struct {
	id       int64
	delivery core.Delivery
	seen     *core.ObservedStatus // nil for everything but announced statuses
	request  intake.Request
	err      error // why it cannot be derived
}

// Derive derives the kept calls that came first, in their order, and returns how many it took. All that follows from them is on
// disk in one transaction. A call that cannot be derived is set aside with its error, and the others go on without it. Nothing
// is done while another process derives. core.ErrUnavailable when the database is unavailable.
func (s *Store) Derive(ctx context.Context, d Deriver) (taken int, err error) {
	giveWay(ctx, s.keeping.Busy)
	most := s.batchOf(d)
	calls, err := s.keptCalls(ctx, 2*most)
	if err != nil || len(calls) == 0 {
		return 0, err
	}
	calls, next := calls[:min(most, len(calls))], calls[min(most, len(calls)):]
	batch, err := s.readCalls(ctx, d, calls)
	if err != nil {
		return 0, err
	}
	defer s.readAhead(ctx, d, next)()
	for n, call := range calls {
		if err := s.ask(ctx, batch[n]); err != nil {
			return 0, fmt.Errorf("deriving delivery %d: %w", call.ID, err)
		}
	}
	locked, err := s.deriveAll(ctx, d, batch)
	if err != nil || !locked {
		return 0, err
	}
	return len(calls), nil
}

const (
	// longestWay is how long a batch gives way at most: what follows from calls comes, however many come.
	longestWay = 50 * time.Millisecond
	wayPoll    = time.Millisecond
)

// callsEnd is how long after a call no more of them are expected.
const callsEnd = 100 * time.Millisecond

// batchOf is how many calls are derived together now.
func (s *Store) batchOf(d Deriver) int {
	if last := s.lastKept.Load(); s.db.Embedded() && last != nil && s.Now().Sub(*last) < callsEnd {
		return cmp.Or(d.Short, d.Most)
	}
	return d.Most
}

// giveWay waits until no calls are being kept: their callers wait for an answer, and those of a batch have theirs.
func giveWay(ctx context.Context, busy func() bool) {
	for began := time.Now(); busy() && time.Since(began) < longestWay; {
		if !poll.Sleep(ctx, wayPoll) {
			return
		}
	}
}

func (s *Store) keptCalls(ctx context.Context, most int) (calls []core.KeptCall, err error) {
	err = s.db.SelectContext(ctx, &calls, s.db.Rebind(`
		SELECT id, platform, delivery_key, project_name, unnamed, verified_by, signed, received_at
		FROM deliveries WHERE state = 'kept' ORDER BY received_at, id LIMIT ?`), most)
	if err != nil {
		return nil, fmt.Errorf("reading kept calls: %w", sqldb.Classify(err))
	}
	return calls, nil
}

// readAhead reads the calls of the next batch while the database works on this one. wait returns when that has ended. Where it fails
// they are read when their turn comes.
func (s *Store) readAhead(ctx context.Context, d Deriver, calls []core.KeptCall) (wait func()) {
	var reading sync.WaitGroup
	reading.Go(func() {
		s.ahead.clear()
		calls = slices.DeleteFunc(calls, func(call core.KeptCall) bool { return s.fresh.has(call.ID) })
		batch, all := make([]*derivation, len(calls)), make([]int, len(calls))
		for n, call := range calls {
			batch[n], all[n] = &derivation{id: call.ID}, n
		}
		if s.readBodies(ctx, d, calls, batch, all) != nil {
			return
		}
		for _, one := range batch {
			if one.err == nil {
				s.ahead.put(one.id, one.delivery)
			}
		}
	})
	return reading.Wait
}

// readCalls reads calls. What this process has read when it kept them, or ahead, is not read again.
func (s *Store) readCalls(ctx context.Context, d Deriver, calls []core.KeptCall) ([]*derivation, error) {
	batch := make([]*derivation, len(calls))
	var unread []int
	for n, call := range calls {
		batch[n] = &derivation{id: call.ID}
		var known bool
		if batch[n].delivery, known = s.fresh.take(call.ID); !known {
			batch[n].delivery, known = s.ahead.take(call.ID)
		}
		if !known {
			unread = append(unread, n)
		}
	}
	if err := s.readBodies(ctx, d, calls, batch, unread); err != nil {
		return nil, fmt.Errorf("reading bodies of kept calls: %w", sqldb.Classify(err))
	}
	for n, call := range calls {
		batch[n].delivery.ReceivedAt = call.ReceivedAt
	}
	return batch, nil
}

// readers is how many calls are read at a time, while the database sends the next one. A large one takes much memory.
const readers = 1

// readBodies reads some of the calls as their bodies come from the database. One that has none is read without it.
func (s *Store) readBodies(ctx context.Context, d Deriver, calls []core.KeptCall, batch []*derivation, some []int) error {
	var reading sync.WaitGroup
	coming := make(chan int)
	for range readers {
		reading.Go(func() {
			for n := range coming {
				batch[n].err = guard(func() (err error) {
					batch[n].delivery, err = d.Read(calls[n])
					return err
				})
				calls[n].Raw = nil
			}
		})
	}
	err := s.eachBody(ctx, calls, some, func(n int) { coming <- n })
	close(coming)
	reading.Wait()
	return err
}

// eachBody completes some of the calls, one after the other.
func (s *Store) eachBody(ctx context.Context, calls []core.KeptCall, some []int, visit func(n int)) error {
	if len(some) == 0 {
		return nil
	}
	ids, left := make([]int64, len(some)), map[int64]int{}
	for i, n := range some {
		ids[i], left[calls[n].ID] = calls[n].ID, n
	}
	query, args, err := sqldb.In(s.db.DriverName(), `SELECT delivery_id, packed FROM delivery_bodies WHERE delivery_id IN (?)`, []any{ids})
	if err != nil {
		return err
	}
	rows, err := s.db.QueryxContext(ctx, s.db.Rebind(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var packed []byte
		if err := rows.Scan(&id, &packed); err != nil {
			return err
		}
		n := left[id]
		delete(left, id)
		calls[n].Raw = packed
		visit(n)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, n := range left {
		visit(n)
	}
	return nil
}

// guard makes an error of a panic: of a parser or a rule, which one call is the first to meet. Only that call is set aside.
func guard(work func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("deriving panicked: %v", fault)
		}
	}()
	return work()
}

// ask finds out what a call asks for. It fails only while the database is unavailable: what is wrong with the call itself becomes
// its error.
func (s *Store) ask(ctx context.Context, one *derivation) (err error) {
	if one.err != nil {
		return nil
	}
	if seen, announced := one.delivery.Event.(core.ObservedStatus); announced {
		one.seen = &seen
	}
	err = guard(func() (err error) {
		one.request, err = s.requestOf(ctx, one.delivery)
		return err
	})
	one.request.Kept = one.id
	if !errors.Is(err, core.ErrUnavailable) && ctx.Err() == nil {
		one.err, err = err, nil
	}
	return err
}

// deriveAll derives a batch together, or in halves where that fails. locked is false while another process derives.
func (s *Store) deriveAll(ctx context.Context, d Deriver, batch []*derivation) (locked bool, err error) {
	var sound, seen []*derivation
	for _, one := range batch {
		switch {
		case one.err != nil:
			if err := s.putFailed(ctx, d, one); err != nil {
				return false, err
			}
		case one.seen != nil:
			seen = append(seen, one)
		default:
			sound = append(sound, one)
		}
	}
	locked, err = s.deriveTogether(ctx, sound)
	switch {
	case err == nil && locked:
		return s.observeAll(ctx, d, seen)
	case err == nil || errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil:
		return false, err
	case len(sound) == 1:
		sound[0].err = err
		return s.deriveAll(ctx, d, batch)
	}
	half := len(sound) / 2
	if locked, err = s.deriveAll(ctx, d, sound[:half]); err != nil || !locked {
		return locked, err
	}
	return s.deriveAll(ctx, d, append(sound[half:], seen...))
}

func (s *Store) deriveTogether(ctx context.Context, batch []*derivation) (locked bool, err error) {
	if len(batch) == 0 {
		return true, nil
	}
	ids := make([]int64, len(batch))
	by := map[int64]*intake.Request{}
	for n, one := range batch {
		ids[n], by[one.id] = one.id, &one.request
	}
	work := func(tx *sqlx.Tx) (err error) {
		if locked, err = s.db.TryLockTable(ctx, tx, "deliveries"); err != nil || !locked {
			return err
		}
		requests, err := stillKept(ctx, tx, ids, by)
		if err == nil {
			_, err = s.takeInBatch(ctx, tx, requests)
		}
		return err
	}
	err = s.write(ctx, func(tx *sqlx.Tx) error { return guard(func() error { return work(tx) }) })
	return locked, err
}

// stillKept are the requests of calls that no other process has derived meanwhile. What a call has told before does not count
// again.
func stillKept(ctx context.Context, tx *sqlx.Tx, ids []int64, by map[int64]*intake.Request) (requests []*intake.Request, err error) {
	var kept []struct {
		ID   int64 `db:"id"`
		Told bool  `db:"told"`
	}
	err = sqldb.SelectIn(ctx, tx, &kept, `SELECT id, told FROM deliveries WHERE id IN (?) AND state || '' = 'kept'`, ids)
	told := map[int64]bool{}
	for _, row := range kept {
		told[row.ID] = row.Told
	}
	for _, id := range ids {
		before, still := told[id]
		if before {
			by[id].Word = nil
		}
		if still {
			requests = append(requests, by[id])
		}
	}
	return requests, err
}

// observeAll looks at announced statuses one by one: each leads to rows of the scan that it is about.
func (s *Store) observeAll(ctx context.Context, d Deriver, seen []*derivation) (locked bool, err error) {
	for _, one := range seen {
		var drift core.Drift
		err := guard(func() (err error) {
			drift, err = s.ObserveStatus(ctx, one.request.Delivery.Platform, *one.seen)
			return err
		})
		if errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil {
			return false, err
		}
		one.request.Ignored, one.seen, one.err = driftReasons[drift], nil, err
	}
	if len(seen) == 0 {
		return true, nil
	}
	return s.deriveAll(ctx, d, seen)
}

// putFailed sets a call aside that cannot be derived, with the reason.
func (s *Store) putFailed(ctx context.Context, d Deriver, one *derivation) error {
	return s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE deliveries SET state = 'failed', error = ?, tried_by = ?, derived_at = ? WHERE id = ? AND state = 'kept'`),
			core.Printable(one.err.Error()), d.Version, s.clock.Timestamp(), one.id)
		return err
	})
}

// openWanted opens the scans that do not exist yet, and loads the others. A project of which only the name is known has the
// reference ids of one that had its name before: then those of its own are made.
func (s *Store) openWanted(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) (existing func(*core.Scan) core.Scan, err error) {
	open := func() error {
		if err := s.insertScans(ctx, tx, items); err != nil {
			return err
		}
		existing, err = s.loadExisting(ctx, tx, items)
		return err
	}
	if err = open(); err == nil && intake.Reissue(items, existing, uuid.NewString) {
		err = open()
	}
	return existing, err
}

// openedColumns are those in which scans are opened.
const openedColumns = "reference_id UUID, project_id BIGINT, source_platform TEXT, project_name TEXT, repo_url TEXT, ref TEXT, " +
	"branch TEXT, default_branch TEXT, commit_sha TEXT, before_sha TEXT, attempt BIGINT, first_scan_id BIGINT, context TEXT, " +
	"origin TEXT, timestamp TIMESTAMPTZ, status TEXT, num_changed_files BIGINT, changed_files_truncated BOOLEAN, deadline_at TIMESTAMPTZ, " +
	"delivery_id BIGINT, fork BOOLEAN, refused TEXT, commit_title TEXT, commit_author TEXT"

// insertScans opens the scans that do not exist yet. A reference id that another project's scan has is no error either, see
// openWanted.
func (s *Store) insertScans(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	openers := intake.Openers(items)
	if len(openers) == 0 {
		return nil
	}
	scans := make([]core.Scan, len(openers))
	for n, item := range openers {
		if item.Kept != 0 {
			item.Scan.DeliveryID = &item.Kept
		}
		scans[n] = *item.Scan
	}
	opening := sqldb.GivenOf("opening", openedColumns, scans)
	var created []struct {
		ID          int64  `db:"id"`
		ReferenceID string `db:"reference_id"`
	}
	err := s.db.SelectGiven(ctx, tx, opening, &created, opening.Insert(`scans`)+`ON CONFLICT DO NOTHING RETURNING id, reference_id`)
	opened := map[string]int64{}
	for _, row := range created {
		opened[row.ReferenceID] = row.ID
	}
	for _, item := range openers {
		item.Scan.ID, item.Created = opened[item.Scan.ReferenceID]
	}
	return err
}
