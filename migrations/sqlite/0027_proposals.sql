-- +migrate Up
-- A dismissal by one person of an alert that two people dismiss: it decides nothing until another one approves it.
CREATE TABLE proposals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    alert_id   INTEGER NOT NULL UNIQUE REFERENCES alerts (id),
    finding_id INTEGER NOT NULL,
    decision   TEXT NOT NULL CHECK (decision IN ('TP', 'FP')),
    reason     TEXT NOT NULL DEFAULT '',
    expires_at TIMESTAMP,
    author     TEXT NOT NULL,
    comment    TEXT NOT NULL DEFAULT '',
    timestamp  TIMESTAMP NOT NULL,
    batch      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX proposals_in_project ON proposals (project_id, id);
CREATE INDEX proposals_by_batch ON proposals (batch) WHERE batch <> '';

-- Who proposed what the author of a decision approved; empty where one person decided alone.
ALTER TABLE alert_decisions ADD COLUMN proposed_by TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE alert_decisions DROP COLUMN proposed_by;
DROP TABLE proposals;
