-- +migrate Up
-- Why a decision dismisses a finding that is real, and when an accepted risk counts again. Without a reason, FP is a false positive, and TP
-- counts.
ALTER TABLE alert_decisions ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE alert_decisions ADD COLUMN expires_at TIMESTAMP;
ALTER TABLE feedbacks ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE feedbacks ADD COLUMN expires_at TIMESTAMP;
CREATE INDEX alert_decisions_by_end ON alert_decisions (expires_at) WHERE expires_at IS NOT NULL;

-- The end of an accepted risk is in the history, too.
CREATE TABLE triage_history (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id   INTEGER NOT NULL REFERENCES alerts (id),
    finding_id INTEGER NOT NULL,
    source     TEXT NOT NULL CHECK (source = 'person' OR source = 'scanner' OR source = 'ai' OR source = 'expiry'),
    author     TEXT NOT NULL DEFAULT '',
    changes    TEXT NOT NULL,
    decides    BOOLEAN NOT NULL,
    decision   TEXT CHECK (decision IN ('TP', 'FP')),
    comment    TEXT NOT NULL DEFAULT '',
    timestamp  TIMESTAMP NOT NULL
);
INSERT INTO triage_history (id, alert_id, finding_id, source, author, changes, decides, decision, comment, timestamp)
SELECT id, alert_id, finding_id, source, author, changes, decides, decision, comment, timestamp FROM triage_events ORDER BY id;
DROP TABLE triage_events;
ALTER TABLE triage_history RENAME TO triage_events;
CREATE INDEX triage_events_by_alert ON triage_events (alert_id, id);

-- An administrator's word that turns the status of the commit green: who, why, when, of what, as JSON; empty where there is none.
ALTER TABLE scans ADD COLUMN override TEXT NOT NULL DEFAULT '';

-- +migrate Down
CREATE TABLE triage_history (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id   INTEGER NOT NULL REFERENCES alerts (id),
    finding_id INTEGER NOT NULL,
    source     TEXT NOT NULL CHECK (source = 'person' OR source = 'scanner' OR source = 'ai'),
    author     TEXT NOT NULL DEFAULT '',
    changes    TEXT NOT NULL,
    decides    BOOLEAN NOT NULL,
    decision   TEXT CHECK (decision IN ('TP', 'FP')),
    comment    TEXT NOT NULL DEFAULT '',
    timestamp  TIMESTAMP NOT NULL
);
INSERT INTO triage_history (id, alert_id, finding_id, source, author, changes, decides, decision, comment, timestamp)
SELECT id, alert_id, finding_id, CASE source WHEN 'expiry' THEN 'person' ELSE source END, author, changes, decides, decision, comment, timestamp
FROM triage_events ORDER BY id;
DROP TABLE triage_events;
ALTER TABLE triage_history RENAME TO triage_events;
CREATE INDEX triage_events_by_alert ON triage_events (alert_id, id);
DROP INDEX alert_decisions_by_end;
ALTER TABLE feedbacks DROP COLUMN expires_at;
ALTER TABLE feedbacks DROP COLUMN reason;
ALTER TABLE alert_decisions DROP COLUMN expires_at;
ALTER TABLE alert_decisions DROP COLUMN reason;
ALTER TABLE scans DROP COLUMN override;
