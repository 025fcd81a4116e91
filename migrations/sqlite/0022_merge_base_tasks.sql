-- +migrate Up
-- The commit where a branch left its target, where the platform did not tell it in time. SQLite can change no CHECK.
ALTER TABLE enrichment_tasks RENAME TO former_enrichment_tasks;
CREATE TABLE enrichment_tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL CHECK (kind IN ('artifacts', 'changed_files', 'merge_base')),
    source_platform TEXT NOT NULL,
    scan_id         INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    metric_id       INTEGER REFERENCES pipeline_metrics (id) ON DELETE CASCADE,
    attempts        INTEGER NOT NULL DEFAULT 0,
    requested_at    TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE
);
INSERT INTO enrichment_tasks (id, kind, source_platform, scan_id, metric_id, attempts, requested_at, next_attempt_at, lease_until, last_error, given_up)
SELECT id, kind, source_platform, scan_id, metric_id, attempts, requested_at, next_attempt_at, lease_until, last_error, given_up FROM former_enrichment_tasks;
DROP TABLE former_enrichment_tasks;
CREATE INDEX enrichment_tasks_by_scan ON enrichment_tasks (scan_id);
CREATE UNIQUE INDEX enrichment_tasks_of_scan ON enrichment_tasks (scan_id, kind) WHERE metric_id IS NULL;
CREATE UNIQUE INDEX enrichment_tasks_of_metric ON enrichment_tasks (metric_id, kind) WHERE metric_id IS NOT NULL;
CREATE INDEX enrichment_tasks_due ON enrichment_tasks (source_platform, next_attempt_at) WHERE NOT given_up;

-- +migrate Down
ALTER TABLE enrichment_tasks RENAME TO former_enrichment_tasks;
CREATE TABLE enrichment_tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL CHECK (kind IN ('artifacts', 'changed_files')),
    source_platform TEXT NOT NULL,
    scan_id         INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    metric_id       INTEGER REFERENCES pipeline_metrics (id) ON DELETE CASCADE,
    attempts        INTEGER NOT NULL DEFAULT 0,
    requested_at    TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE
);
INSERT INTO enrichment_tasks (id, kind, source_platform, scan_id, metric_id, attempts, requested_at, next_attempt_at, lease_until, last_error, given_up)
SELECT id, kind, source_platform, scan_id, metric_id, attempts, requested_at, next_attempt_at, lease_until, last_error, given_up FROM former_enrichment_tasks WHERE kind <> 'merge_base';
DROP TABLE former_enrichment_tasks;
CREATE INDEX enrichment_tasks_by_scan ON enrichment_tasks (scan_id);
CREATE UNIQUE INDEX enrichment_tasks_of_scan ON enrichment_tasks (scan_id, kind) WHERE metric_id IS NULL;
CREATE UNIQUE INDEX enrichment_tasks_of_metric ON enrichment_tasks (metric_id, kind) WHERE metric_id IS NOT NULL;
CREATE INDEX enrichment_tasks_due ON enrichment_tasks (source_platform, next_attempt_at) WHERE NOT given_up;
