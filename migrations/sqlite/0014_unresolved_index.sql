-- +migrate Up
-- The unresolved findings of a scan, which are few.
CREATE INDEX findings_unresolved ON findings (scan_id) WHERE unresolved;

-- +migrate Down
DROP INDEX findings_unresolved;
