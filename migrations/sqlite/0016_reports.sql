-- +migrate Up
-- The reports that were brought for scans, each a revision of those of its scanner and category. Reports of before have no row.
CREATE TABLE reports (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id      INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    scanner      TEXT NOT NULL, -- the name of its job
    revision     INTEGER NOT NULL,
    brought_by   TEXT NOT NULL,
    bringer      TEXT NOT NULL,
    received_at  TIMESTAMP NOT NULL,
    digest       TEXT NOT NULL,
    failure      TEXT NOT NULL,
    num_findings INTEGER NOT NULL,
    num_critical INTEGER NOT NULL,
    num_high     INTEGER NOT NULL,
    num_medium   INTEGER NOT NULL,
    num_low      INTEGER NOT NULL,
    turned       BOOLEAN NOT NULL,
    findings     BLOB, -- of a report that was replaced: the most severe ones, as JSON in gzip
    UNIQUE (scan_id, scanner, revision)
);

-- An earlier report of the job failed the gate, and the present one does not.
ALTER TABLE scan_jobs ADD COLUMN turned BOOLEAN NOT NULL DEFAULT FALSE;

-- +migrate Down
ALTER TABLE scan_jobs DROP COLUMN turned;
DROP TABLE reports;
