-- +migrate Up notransaction
-- The unresolved findings of a scan, which are few.
CREATE INDEX CONCURRENTLY IF NOT EXISTS findings_unresolved ON findings (scan_id) WHERE unresolved;

-- +migrate Down notransaction
DROP INDEX findings_unresolved;
