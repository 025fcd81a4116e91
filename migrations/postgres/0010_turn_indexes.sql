-- +migrate Up notransaction
-- The jobs that wait, by project: of the projects' own commits, and of forks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS scan_jobs_turns ON scan_jobs (scanner, project_id, id) WHERE state = 'pending' AND not_before IS NULL AND NOT fork;
CREATE INDEX CONCURRENTLY IF NOT EXISTS scan_jobs_fork_turns ON scan_jobs (scanner, project_id, id) WHERE state = 'pending' AND not_before IS NULL AND fork;

-- +migrate Down notransaction
DROP INDEX scan_jobs_fork_turns;
DROP INDEX scan_jobs_turns;
