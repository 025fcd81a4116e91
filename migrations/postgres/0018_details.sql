-- +migrate Up
-- What reports say of findings besides what is compared: paths through the code, related places, fixes, links. Packed by
-- core/details. Few findings have such, and lists do not read it. The findings have its key.
CREATE TABLE finding_details (
    job_id      BIGINT NOT NULL REFERENCES scan_jobs (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    details     BYTEA NOT NULL,
    PRIMARY KEY (job_id, fingerprint)
);

-- What a rule is about, once for all its findings of a job.
CREATE TABLE rule_help (
    job_id  BIGINT NOT NULL REFERENCES scan_jobs (id) ON DELETE CASCADE,
    tool    TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    help    BYTEA NOT NULL,
    PRIMARY KEY (job_id, rule_id, tool)
);

-- +migrate Down
DROP TABLE rule_help;
DROP TABLE finding_details;
