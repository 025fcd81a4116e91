package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// ListTriage returns what was said about a finding, the oldest first; after is the id of the last event already seen.
// A finding that does not exist has no history.
func (s *Store) ListTriage(ctx context.Context, finding, after int64, limit int) ([]core.TriageEvent, error) {
	list := []core.TriageEvent{}
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+eventColumns+` FROM triage_events
		WHERE finding_id = ? AND id > ? ORDER BY id LIMIT ?`), finding, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing triage: %w", classify(err))
	}
	return list, nil
}

// carried is an event as the same finding in another scan hears of it.
func carried(event core.TriageEvent, finding int64) core.TriageEvent {
	from, news := event.FindingID, map[string]any{"triage_decision": event.Decision} // a word or null
	if event.Withdrawn() {
		news["user_verdict"] = nil
	}
	event.Source, event.CarriedFrom, event.FindingID = core.Carried, &from, finding
	changes, _ := json.Marshal(news)
	event.Changes = string(changes)
	return event
}

func recordEvents(ctx context.Context, tx *sqlx.Tx, events []core.TriageEvent) error {
	for len(events) > 0 {
		n := min(len(events), rowsPerStatement)
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO triage_events (finding_id, source, origin, carried_from, author, changes, decision, comment, timestamp)
			VALUES (:finding_id, :source, :origin, :carried_from, :author, :changes, :decision, :comment, :timestamp)`,
			events[:n])
		if err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}
