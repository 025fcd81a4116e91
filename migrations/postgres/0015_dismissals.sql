-- +migrate Up notransaction
-- Why a decision dismisses a finding that is real, and when an accepted risk counts again. Without a reason, FP is a false positive, and TP
-- counts.
ALTER TABLE alert_decisions ADD COLUMN IF NOT EXISTS reason TEXT NOT NULL DEFAULT '';
ALTER TABLE alert_decisions ADD COLUMN IF NOT EXISTS expires_at TIMESTAMPTZ;
ALTER TABLE feedbacks ADD COLUMN IF NOT EXISTS reason TEXT NOT NULL DEFAULT '';
ALTER TABLE feedbacks ADD COLUMN IF NOT EXISTS expires_at TIMESTAMPTZ;
CREATE INDEX CONCURRENTLY IF NOT EXISTS alert_decisions_by_end ON alert_decisions (expires_at) WHERE expires_at IS NOT NULL;

-- The end of an accepted risk is in the history, too.
ALTER TABLE triage_events DROP CONSTRAINT IF EXISTS triage_events_source_check;
ALTER TABLE triage_events ADD CONSTRAINT triage_events_source_check CHECK (source IN ('person', 'scanner', 'ai', 'expiry')) NOT VALID;
ALTER TABLE triage_events VALIDATE CONSTRAINT triage_events_source_check;

-- An administrator's word that turns the status of the commit green: who, why, when, of what, as JSON; empty where there is none.
ALTER TABLE scans ADD COLUMN IF NOT EXISTS override TEXT NOT NULL DEFAULT '';

-- +migrate Down notransaction
UPDATE triage_events SET source = 'person' WHERE source = 'expiry';
ALTER TABLE triage_events DROP CONSTRAINT IF EXISTS triage_events_source_check;
ALTER TABLE triage_events ADD CONSTRAINT triage_events_source_check CHECK (source IN ('person', 'scanner', 'ai')) NOT VALID;
ALTER TABLE triage_events VALIDATE CONSTRAINT triage_events_source_check;
DROP INDEX IF EXISTS alert_decisions_by_end;
ALTER TABLE feedbacks DROP COLUMN IF EXISTS expires_at;
ALTER TABLE feedbacks DROP COLUMN IF EXISTS reason;
ALTER TABLE alert_decisions DROP COLUMN IF EXISTS expires_at;
ALTER TABLE alert_decisions DROP COLUMN IF EXISTS reason;
ALTER TABLE scans DROP COLUMN IF EXISTS override;
