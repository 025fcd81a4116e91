-- +migrate Up
-- What reports say of findings besides what is compared: paths through the code, related places, fixes, links. Packed by
-- core/details. Few findings have such, and lists do not read it. The findings have its key.
CREATE TABLE finding_details (
    job_id      INTEGER NOT NULL REFERENCES scan_jobs (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    details     BLOB NOT NULL,
    PRIMARY KEY (job_id, fingerprint)
) WITHOUT ROWID;

-- What a rule is about, once for all its findings of a job.
CREATE TABLE rule_help (
    job_id  INTEGER NOT NULL REFERENCES scan_jobs (id) ON DELETE CASCADE,
    tool    TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    help    BLOB NOT NULL,
    PRIMARY KEY (job_id, rule_id, tool)
) WITHOUT ROWID;

-- +migrate Down
DROP TABLE rule_help;
DROP TABLE finding_details;
