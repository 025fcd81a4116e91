-- +migrate Up notransaction
-- Jobs are claimed in turns, and lists of alerts have an index of their own.
DROP INDEX CONCURRENTLY IF EXISTS scan_jobs_fresh;
DROP INDEX CONCURRENTLY IF EXISTS alerts_not_open;

-- +migrate Down notransaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_not_open ON alerts (project_id, state, number) WHERE state <> 'open';
CREATE INDEX CONCURRENTLY IF NOT EXISTS scan_jobs_fresh ON scan_jobs (scanner, id) WHERE state = 'pending' AND not_before IS NULL;
