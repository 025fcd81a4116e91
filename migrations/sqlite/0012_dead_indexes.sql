-- +migrate Up
-- Jobs are claimed in turns, and lists of alerts have an index of their own.
DROP INDEX scan_jobs_fresh;
DROP INDEX alerts_not_open;

-- +migrate Down
CREATE INDEX alerts_not_open ON alerts (project_id, state, number) WHERE state <> 'open';
CREATE INDEX scan_jobs_fresh ON scan_jobs (scanner, id) WHERE state = 'pending' AND not_before IS NULL;
