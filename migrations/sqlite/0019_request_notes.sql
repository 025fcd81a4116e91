-- +migrate Up
-- The one comment that a pull or merge request shows, with what was posted of it so far. What it says is made of the request's head when
-- it is posted. marker stands in it, unseen: nobody knows it before, so that the first comment that has it is ours.
CREATE TABLE request_notes (
    project_id      INTEGER NOT NULL REFERENCES projects (id),
    number          INTEGER NOT NULL,
    source_platform TEXT NOT NULL,
    marker          TEXT NOT NULL,
    note_id         INTEGER NOT NULL DEFAULT 0,
    revision        INTEGER NOT NULL DEFAULT 1,
    posted_revision INTEGER NOT NULL DEFAULT 0,
    digest          TEXT NOT NULL DEFAULT '',
    attempts        INTEGER NOT NULL DEFAULT 0,
    desired_at      TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE,
    posted_at       TIMESTAMP,
    check_at        TIMESTAMP,
    PRIMARY KEY (project_id, number)
) WITHOUT ROWID;
CREATE INDEX request_notes_due ON request_notes (source_platform, next_attempt_at) WHERE posted_revision < revision AND NOT given_up;
CREATE INDEX request_notes_to_check ON request_notes (source_platform, check_at) WHERE check_at IS NOT NULL;

-- +migrate Down
DROP TABLE request_notes;
