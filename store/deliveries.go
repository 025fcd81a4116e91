package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/actions"
	"github.com/scanhook/scanhook/store/sqldb"
)

var deliveryColumns = sqldb.ColumnsOf[core.KeptDelivery]()

// loadReceived reads which of the deliveries were received before.
func (s *Store) loadReceived(ctx context.Context, tx *sqlx.Tx, requests []*intake.Request) (map[intake.Key]intake.Received, error) {
	var keys []intake.Key
	for _, request := range requests {
		if request.Delivery != nil && request.Kept == 0 {
			keys = append(keys, intake.KeyOf(request.Delivery))
		}
	}
	known, err := s.findCalls(ctx, tx, keys)
	received := map[intake.Key]intake.Received{}
	for _, row := range known {
		received[row.key()] = intake.Received{ReferenceID: row.ReferenceID, Ignored: row.Ignored}
	}
	return received, err
}

// keeping is one call and, once its batch is on disk, where it is.
type keeping struct {
	core.Call
	key       intake.Key
	id        int64
	refused   string
	duplicate bool
}

// Keep puts a verified call on disk, from which everything else follows later: see Derive. The receipt says what the call asks
// for. core.ErrUnavailable when the database is unavailable, core.ErrDenied when the call must be signed and is not.
func (s *Store) Keep(ctx context.Context, call core.Call) (core.Receipt, error) {
	var wish intake.Wish
	if !call.Unread {
		wish = intake.WishOf(call.Delivery, s.policies)
	}
	call.State, call.Reason, call.CommitSHA = core.DeliveryKept, wish.Reason, wish.Commit
	if wish.Idle {
		call.State = core.DeliveryIgnored
	}
	ctx, cancel := context.WithTimeout(ctx, intakeTimeout) // of a call that waits for others, too: platforms hang up
	defer cancel()
	project, err := s.projectOfCall(ctx, &call.Delivery, wish.Idle)
	if err == nil {
		project, err = s.projectOfSigned(ctx, &call.Delivery, project)
	}
	if err != nil {
		return core.Receipt{}, fmt.Errorf("keeping delivery %s: %w", call.Key, err)
	}
	if subject := call.Subject(); wish.Commit != "" {
		call.Promised = core.ReferenceOf(call.Platform, cmp.Or(subject.Ref, project.Ref), subject.Name, wish.Commit)
	}
	item := &keeping{Call: call, key: intake.KeyOf(&call.Delivery)}
	if err := s.keeping.Do(ctx, item); err != nil {
		return core.Receipt{}, fmt.Errorf("keeping delivery %s: %w", call.Key, sqldb.Classify(err))
	}
	if item.refused != "" {
		return core.Receipt{}, fmt.Errorf("%w: %s", core.ErrDenied, item.refused)
	}
	if !item.duplicate && item.State == core.DeliveryKept && !item.Unread {
		s.fresh.put(item.id, item.Delivery)
	}
	return item.receipt(), nil
}

// numberOf is the number of a delivery's project for its row.
func numberOf(d *core.Delivery) *int64 {
	if d.ProjectID == 0 {
		return nil
	}
	return &d.ProjectID
}

func (k *keeping) receipt() core.Receipt {
	receipt := core.Receipt{Outcome: core.Accepted, Delivery: k.id, Reference: k.Promised, Reason: k.Reason}
	switch {
	case k.duplicate:
		receipt.Outcome = core.Duplicate
	case k.Reason != "":
		receipt.Outcome = core.OutcomeIgnored
	}
	return receipt
}

// commitKept writes a batch in one transaction, by one statement for all calls and one for their bodies, or one for both. Where that is
// all, it is a transaction by itself: on a busy machine each round trip waits for a processor, and all callers with it.
func (s *Store) commitKept(batch []*keeping) (err error) {
	if s.db.Chains() && s.onlyKeeps(batch) {
		err = s.runUrgent(func(ctx context.Context, q sqlx.ExtContext) error { return s.insertBatch(ctx, q, batch) })
	} else {
		err = s.commitUrgent(func(ctx context.Context, tx *sqlx.Tx) error { return s.keepBatch(ctx, tx, batch) })
	}
	if err == nil {
		now := s.Now()
		s.lastKept.Store(&now)
		s.rememberBatch(batch)
		s.kept.Ring()
	}
	return err
}

func (s *Store) keepBatch(ctx context.Context, tx *sqlx.Tx, batch []*keeping) error {
	if err := s.pinSigning(ctx, tx, batch); err != nil {
		return err
	}
	if err := s.insertBatch(ctx, tx, batch); err != nil {
		return err
	}
	return s.putSecretUsage(ctx, tx, batch)
}

func (s *Store) insertBatch(ctx context.Context, q sqlx.ExtContext, batch []*keeping) error {
	first := map[intake.Key]*keeping{}
	var calls []*keeping
	for _, item := range batch {
		item.id, item.duplicate = 0, true
		if item.refused == "" && first[item.key] == nil {
			first[item.key] = item
			calls = append(calls, item)
		}
	}
	if err := s.insertCalls(ctx, q, calls, first); err != nil {
		return err
	}
	for _, item := range batch {
		if item.refused == "" {
			item.id = first[item.key].id
		}
	}
	return nil
}

// callRow is a kept call by its key.
type callRow struct {
	ID          int64  `db:"id"`
	Platform    string `db:"platform"`
	Key         string `db:"delivery_key"`
	Project     string `db:"project_name"`
	ReferenceID string `db:"reference_id"`
	Ignored     bool   `db:"ignored"`
}

func (r callRow) key() intake.Key {
	return intake.Key{Platform: r.Platform, Delivery: r.Key, Project: r.Project}
}

// keepCalls keeps the calls that were not kept before. One that was ignored or set aside is kept anew if it comes again: an
// administrator has the platform repeat it after correcting the configuration. One that has told where a ref stands must ask for a
// scan now: nothing else of it is new.
const keepCalls = `
	INSERT INTO deliveries (platform, delivery_key, event, project_name, project_id, state, outcome, reason, promised, commit_sha,
		unnamed, received_at, derived_at, verified_by, signed)
	SELECT platform, delivery_key, event, project_name, project_id, state, outcome, reason, promised, commit_sha,
		unnamed, received_at, derived_at, verified_by, signed
	FROM calls WHERE TRUE
	ON CONFLICT (platform, delivery_key, project_name) DO UPDATE SET event = excluded.event, state = excluded.state,
		project_id = COALESCE(excluded.project_id, deliveries.project_id),
		outcome = excluded.outcome, reason = excluded.reason, error = '', promised = excluded.promised,
		commit_sha = excluded.commit_sha, unnamed = excluded.unnamed, received_at = excluded.received_at,
		derived_at = excluded.derived_at, verified_by = excluded.verified_by, signed = excluded.signed
	WHERE deliveries.state IN ('ignored', 'failed') AND excluded.state = 'kept' AND (NOT deliveries.told OR excluded.promised <> '')
	RETURNING id, platform, delivery_key, project_name`

// keepBodies keeps the bodies of calls that come with them.
func keepBodies(bodies string) string {
	return `INSERT INTO delivery_bodies (delivery_id, packed) ` + bodies + ` ON CONFLICT (delivery_id) DO UPDATE SET packed = excluded.packed`
}

// insertCalls keeps the calls that were not kept before, and finds the others.
func (s *Store) insertCalls(ctx context.Context, q sqlx.ExtContext, calls []*keeping, by map[intake.Key]*keeping) error {
	if len(calls) == 0 {
		return nil
	}
	keep := keepCalls
	if s.db.Chains() {
		keep = `, kept AS (` + keepCalls + `), whole AS (` + keepBodies(`SELECT kept.id, calls.packed
			FROM kept JOIN calls ON calls.delivery_key = kept.delivery_key AND calls.platform = kept.platform
				AND calls.project_name = kept.project_name WHERE TRUE`) + `)
			SELECT id, platform, delivery_key, project_name FROM kept`
	}
	var kept []callRow
	if err := s.db.SelectGiven(ctx, q, s.givenCalls(calls), &kept, keep); err != nil {
		return err
	}
	bodies := sqldb.Given{Name: "bodies", Columns: "delivery_id BIGINT, packed BYTEA"}
	for _, row := range kept {
		item := by[row.key()]
		item.id, item.duplicate = row.ID, false
		bodies.Rows = append(bodies.Rows, []any{row.ID, item.Raw})
	}
	if len(kept) > 0 && !s.db.Chains() {
		if _, err := s.db.ExecGiven(ctx, q, bodies, keepBodies(`SELECT delivery_id, packed FROM bodies WHERE TRUE`)); err != nil {
			return err
		}
	}
	var again []intake.Key
	for _, call := range calls {
		if call.duplicate {
			again = append(again, call.key)
		}
	}
	known, err := s.findCalls(ctx, q, again)
	for _, row := range known {
		by[row.key()].id = row.ID
	}
	return err
}

func (s *Store) givenCalls(calls []*keeping) sqldb.Given {
	given := sqldb.Given{
		Name: "calls",
		Columns: "platform TEXT, delivery_key TEXT, event TEXT, project_name TEXT, project_id BIGINT, state TEXT, " +
			"outcome TEXT, reason TEXT, promised TEXT, commit_sha TEXT, unnamed BOOLEAN, received_at TIMESTAMPTZ, derived_at TIMESTAMPTZ, " +
			"verified_by TEXT, signed BOOLEAN, packed BYTEA",
		Rows: make([][]any, len(calls)),
	}
	now := s.clock.Timestamp()
	for n, call := range calls {
		outcome, derived := "", any(nil)
		if call.State == core.DeliveryIgnored {
			outcome, derived = string(core.OutcomeIgnored), now
		}
		given.Rows[n] = []any{
			call.Platform, call.Key, call.Name, call.Project, numberOf(&call.Delivery), call.State, outcome, call.Reason,
			call.Promised, call.CommitSHA, call.Unnamed, now, derived, call.Verification.Secret(), call.Verification.Signed,
			call.Raw,
		}
	}
	return given
}

// findCalls finds the calls that were kept before.
func (s *Store) findCalls(ctx context.Context, q sqlx.ExtContext, keys []intake.Key) (known []callRow, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	given := sqldb.Given{Name: "wanted", Columns: "platform TEXT, delivery_key TEXT, project_name TEXT"}
	for _, key := range keys {
		given.Rows = append(given.Rows, []any{key.Platform, key.Delivery, key.Project})
	}
	err = s.db.SelectGiven(ctx, q, given, &known, `
		SELECT d.id, d.platform, d.delivery_key, d.project_name, d.state = 'ignored' AS ignored,
			COALESCE(CAST(s.reference_id AS TEXT), '') AS reference_id
		FROM wanted w
		JOIN deliveries d ON d.platform = w.platform AND d.delivery_key = w.delivery_key
			AND d.project_name || '' = w.project_name -- which no index leads to: all of a project would be read
		LEFT JOIN scans s ON s.id = d.scan_id`)
	return known, err
}

// deliveryRow is a delivery as it is kept once everything that follows from it is known.
type deliveryRow struct {
	Platform    string             `db:"platform"`
	DeliveryKey string             `db:"delivery_key"`
	Event       string             `db:"event"`
	ProjectName string             `db:"project_name"`
	ProjectID   *int64             `db:"project_id"`
	State       core.DeliveryState `db:"state"`
	Outcome     core.Outcome       `db:"outcome"`
	Reason      string             `db:"reason"`
	ScanID      *int64             `db:"scan_id"`
	ReceivedAt  time.Time          `db:"received_at"`
	VerifiedBy  string             `db:"verified_by"`
	Signed      bool               `db:"signed"`
}

// keepDeliveries writes those deliveries into the log, by which repetitions are recognised, that were not kept first.
func (s *Store) keepDeliveries(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	var rows []deliveryRow
	opens := map[int64]bool{} // scans
	for _, item := range items {
		if item.Kept != 0 {
			continue
		}
		if item.Created {
			opens[item.Scan.ID] = true
		}
		d := item.Delivery
		rows = append(rows, deliveryRow{
			d.Platform, d.Key, d.Name, d.Project, numberOf(d), stateOf(item), item.Receipt.Outcome, item.Receipt.Reason, scanOfItem(item),
			s.clock.Timestamp(), d.Verification.Secret(), d.Verification.Signed,
		})
	}
	if len(rows) == 0 {
		return nil
	}
	var kept []struct {
		ID     int64 `db:"id"`
		ScanID int64 `db:"scan_id"`
	}
	err := sqldb.SelectNamed(ctx, tx, &kept, `
		INSERT INTO deliveries (platform, delivery_key, event, project_name, project_id, state, outcome, reason, scan_id,
			received_at, derived_at, verified_by, signed)
		VALUES (:platform, :delivery_key, :event, :project_name, :project_id, :state, :outcome, :reason, :scan_id, :received_at,
			:received_at, :verified_by, :signed)
		ON CONFLICT (platform, delivery_key, project_name) DO UPDATE SET state = excluded.state, outcome = excluded.outcome,
			project_id = COALESCE(excluded.project_id, deliveries.project_id),
			reason = excluded.reason, scan_id = excluded.scan_id, received_at = excluded.received_at,
			derived_at = excluded.derived_at, verified_by = excluded.verified_by, signed = excluded.signed
		WHERE deliveries.state = 'ignored'
		RETURNING id, COALESCE(scan_id, 0) AS scan_id`, rows)
	opened := sqldb.Given{Name: "opened", Columns: "id BIGINT, scan_id BIGINT"}
	for _, row := range kept {
		if opens[row.ScanID] {
			opened.Rows = append(opened.Rows, []any{row.ID, row.ScanID})
			delete(opens, row.ScanID)
		}
	}
	if err != nil || len(opened.Rows) == 0 {
		return err
	}
	_, err = s.db.ExecGiven(ctx, tx, opened, `UPDATE scans SET delivery_id = w.id FROM opened w WHERE scans.id = w.scan_id`)
	return err
}

// forgetScans lets deliveries lead to scans no more that are about to be deleted.
func forgetScans(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	_, err := sqldb.ExecIn(ctx, tx, `
		UPDATE deliveries SET scan_id = NULL WHERE id IN (SELECT delivery_id FROM scans WHERE id IN (?))`, ids)
	if err == nil {
		_, err = sqldb.ExecIn(ctx, tx, `UPDATE deliveries SET scan_id = NULL WHERE scan_id IN (?) AND outcome <> 'scan_created'`, ids)
	}
	return err
}

func stateOf(item *intake.Item) core.DeliveryState {
	if item.Receipt.Outcome == core.OutcomeIgnored {
		return core.DeliveryIgnored
	}
	return core.DeliveryDerived
}

func scanOfItem(item *intake.Item) *int64 {
	if item.Scan == nil {
		return nil
	}
	return &item.Scan.ID
}

// settleDeliveries says of kept deliveries what became of them.
func (s *Store) settleDeliveries(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) error {
	given := sqldb.Given{
		Name: "settled", Columns: "id BIGINT, state TEXT, outcome TEXT, reason TEXT, scan_id BIGINT, project_id BIGINT",
	}
	for _, item := range items {
		if item.Kept != 0 {
			given.Rows = append(given.Rows, []any{
				item.Kept, stateOf(item), item.Receipt.Outcome, item.Receipt.Reason, scanOfItem(item), numberOf(item.Delivery),
			})
		}
	}
	if len(given.Rows) == 0 {
		return nil
	}
	_, err := s.db.ExecGiven(ctx, tx, given, `
		UPDATE deliveries SET state = w.state, outcome = w.outcome, reason = w.reason, error = '', scan_id = w.scan_id, told = TRUE,
			project_id = COALESCE(w.project_id, deliveries.project_id), derived_at = ?
		FROM settled w WHERE deliveries.id = w.id`, s.clock.Timestamp())
	return err
}

// GetDelivery returns one delivery; core.ErrNotFound when there is none.
func (s *Store) GetDelivery(ctx context.Context, id int64) (d core.KeptDelivery, err error) {
	err = s.db.GetContext(ctx, &d, s.db.Rebind(`
		SELECT `+sqldb.Qualify("d", deliveryColumns)+`, `+referenceOfDelivery+`
		FROM deliveries d LEFT JOIN scans s ON s.id = d.scan_id WHERE d.id = ?`), id)
	if err != nil {
		return d, fmt.Errorf("getting delivery: %w", sqldb.Classify(err))
	}
	return d, nil
}

// referenceOfDelivery is the scan that a delivery led to, or that it asks for.
const referenceOfDelivery = `COALESCE(CAST(s.reference_id AS TEXT), d.promised) AS reference_id`

// DeriveAgain has a delivery that was set aside derived once more, and audits who asked for it; core.ErrConflict when it was not.
func (s *Store) DeriveAgain(ctx context.Context, id int64, by string) error {
	d, err := s.GetDelivery(ctx, id)
	if err != nil {
		return err
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE deliveries SET state = 'kept', error = '', derived_at = NULL WHERE id = ? AND state = 'failed'`), id)
		err = sqldb.OneRow(result, err, fmt.Sprintf("delivery %d is %s: only one that was set aside can be derived again", id, d.State))
		if err != nil {
			return err
		}
		return s.audit(ctx, tx, core.AuditEvent{
			Actor: by, Action: core.AuditDeriveAgain, SourcePlatform: d.Platform, ProjectName: d.ProjectName,
			Subject: fmt.Sprintf("delivery %d", id), Detail: d.Error,
		})
	})
	if err != nil {
		return fmt.Errorf("deriving again: %w", err)
	}
	s.kept.Ring()
	return nil
}

// DeliveryFilter selects deliveries; empty fields select everything. Before and After are exclusive, for paging from
// the newest on and back; one of them is 0.
type DeliveryFilter struct {
	Platform, Project string
	State             core.DeliveryState
	ScanID            int64
	Before, After     int64
	Limit             int
}

// ListDeliveries returns the newest deliveries first that those who ask may see; with After, those that come directly before that
// one in the list.
func (s *Store) ListDeliveries(ctx context.Context, f DeliveryFilter) ([]core.KeptDelivery, error) {
	var list []core.KeptDelivery
	unions, err := s.deliveryUnions(ctx, f)
	for _, union := range unions {
		if err == nil {
			var some []core.KeptDelivery
			picked, args := union.With()
			err = s.db.SelectContext(ctx, &some, s.db.Rebind(picked+`
				SELECT `+sqldb.Qualify("d", deliveryColumns)+`, `+referenceOfDelivery+`
				FROM picked JOIN deliveries d ON d.id = picked.id LEFT JOIN scans s ON s.id = d.scan_id
				ORDER BY d.id DESC`), args...)
			list = append(list, some...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing deliveries: %w", sqldb.Classify(err))
	}
	return pageOf(list, func(d core.KeptDelivery) int64 { return d.ID }, f.After, f.Limit), nil
}

func (f DeliveryFilter) union() *sqldb.KeysetUnion {
	return &sqldb.KeysetUnion{Table: `deliveries`, Before: f.Before, After: f.After, Limit: f.Limit}
}

func (s *Store) deliveryUnions(ctx context.Context, f DeliveryFilter) (unions []*sqldb.KeysetUnion, err error) {
	sees := seenBy(ctx, access.Read)
	switch union := f.union(); {
	case f.ScanID != 0:
		opened := f.conditions()
		opened.Add(true, `outcome = 'scan_created' AND id = (SELECT delivery_id FROM scans WHERE scans.id = ?)`, f.ScanID)
		union.AddKeyed(opened)
		others := f.conditions()
		others.Add(true, `outcome <> 'scan_created'`)
		union.AddKeyed(others)
		return append(unions, union), nil
	case sees.all && f == (DeliveryFilter{Before: f.Before, After: f.After, Limit: f.Limit}):
		union.AddTable(f.conditions())
		return append(unions, union), nil
	}
	scopes, err := s.deliveryScopes(ctx, f, sees)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(scopes, projectsPerUnion) {
		unions = append(unions, f.unionOf(some))
	}
	return unions, nil
}

// unionOf reads the deliveries of scopes, those in each state along an index.
func (f DeliveryFilter) unionOf(scopes []deliveryScope) *sqldb.KeysetUnion {
	states := []core.DeliveryState{f.State}
	if f.State == "" {
		states = core.DeliveryStates
	}
	union := f.union()
	for _, scope := range scopes {
		for _, f.State = range states {
			where := f.conditions()
			where.Add(true, scope.sql, scope.args...)
			if f.State == core.DeliveryKept {
				union.AddSource(keptDeliveries, where)
				continue
			}
			union.AddTable(where)
		}
	}
	return union
}

// keptDeliveries is a table of the calls that are still to be derived, which are few. Its order makes engines read their own
// small index.
const keptDeliveries = `(SELECT id, platform, project_id, project_name, state FROM deliveries
	WHERE state = 'kept' ORDER BY received_at, id LIMIT 1000000) AS kept_deliveries`

// deliveryScope is a condition that one index of deliveries begins with.
type deliveryScope struct {
	sql  string
	args []any
}

// deliveryScopes are the projects that a filter names, and the calls of that name whose project is not known, or those that may
// be shown; else the platforms.
func (s *Store) deliveryScopes(ctx context.Context, f DeliveryFilter, sees sight) (scopes []deliveryScope, err error) {
	if f.Project == "" && !sees.all {
		shown, err := s.shownTo(ctx, sees)
		for _, id := range shown.on(f.Platform) {
			scopes = append(scopes, deliveryScope{`project_id = ?`, []any{id}})
		}
		return scopes, err
	}
	platforms := []string{f.Platform}
	if f.Platform == "" {
		platforms, err = s.db.DistinctValues(ctx, `deliveries`, `platform`)
	}
	if f.Project == "" || err != nil {
		for _, platform := range platforms {
			scopes = append(scopes, deliveryScope{`platform = ?`, []any{platform}})
		}
		return scopes, err
	}
	named, err := s.projectsNamed(ctx, f.Platform, f.Project)
	for _, project := range named.members {
		if sees.has(project) {
			scopes = append(scopes, deliveryScope{`project_id = ?`, []any{project.ID}})
		}
	}
	for _, platform := range platforms {
		if sees.has(core.KeptProject{Platform: platform, Name: f.Project}) {
			scopes = append(scopes, deliveryScope{`project_id IS NULL AND platform = ? AND project_name = ?`, []any{platform, f.Project}})
		}
	}
	return scopes, err
}

func (f DeliveryFilter) conditions() (where sqldb.Conditions) {
	where.Add(f.State != "", `state = ?`, f.State)
	where.Add(f.State != "" && f.State != core.DeliveryKept, `state <> 'kept'`) // for the engine to take the index that says so
	where.Add(f.State == core.DeliveryKept, `state = 'kept'`)
	where.Add(f.ScanID != 0, `scan_id = ?`, f.ScanID)
	return where
}

// maxAsked is how many delivery keys one statement asks about.
const maxAsked = 500

// KnownDeliveries tells which of the keys were received from a platform, whatever their outcome.
func (s *Store) KnownDeliveries(ctx context.Context, platform string, keys []string) (map[string]bool, error) {
	known := map[string]bool{}
	for chunk := range slices.Chunk(keys, maxAsked) {
		var found []string
		err := sqldb.SelectIn(ctx, s.db, &found, `
			SELECT delivery_key FROM deliveries WHERE platform = ? AND delivery_key IN (?)`, platform, chunk)
		if err != nil {
			return nil, fmt.Errorf("looking for deliveries: %w", sqldb.Classify(err))
		}
		for _, key := range found {
			known[key] = true
		}
	}
	return known, nil
}

// putActions keeps buttons that were pressed. A call that was sent once more, under another key, may be a copy.
func (s *Store) putActions(ctx context.Context, tx *sqlx.Tx, pressed []*intake.Item) error {
	for _, item := range pressed {
		action := actions.Of(*item.Action, *item.Delivery, s.cameAt(*item.Delivery))
		fresh, err := s.Actions().Put(ctx, tx, action)
		if err == nil && !fresh {
			err = s.audit(ctx, tx, action.Refusal(core.Scan{}, "the call was sent before"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RetrySetAside has the calls derived again that another version has set aside, and returns how many they are.
func (s *Store) RetrySetAside(ctx context.Context, version string) (n int64, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		n, err = sqldb.Exec(ctx, tx, `
			UPDATE deliveries SET state = 'kept', error = '', derived_at = NULL WHERE state = 'failed' AND tried_by <> ?`, version)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("looking for calls that were set aside: %w", err)
	}
	s.kept.Ring()
	return n, nil
}
