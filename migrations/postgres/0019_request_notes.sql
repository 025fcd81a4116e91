-- +migrate Up
-- The one comment that a pull or merge request shows, with what was posted of it so far. What it says is made of the request's head when
-- it is posted. marker stands in it, unseen: nobody knows it before, so that the first comment that has it is ours.
CREATE TABLE request_notes (
    project_id      BIGINT NOT NULL REFERENCES projects (id),
    number          BIGINT NOT NULL,
    source_platform TEXT NOT NULL,
    marker          TEXT NOT NULL,
    note_id         BIGINT NOT NULL DEFAULT 0,
    revision        BIGINT NOT NULL DEFAULT 1,
    posted_revision BIGINT NOT NULL DEFAULT 0,
    digest          TEXT NOT NULL DEFAULT '',
    attempts        INTEGER NOT NULL DEFAULT 0,
    desired_at      TIMESTAMPTZ NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    lease_until     TIMESTAMPTZ,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE,
    posted_at       TIMESTAMPTZ,
    check_at        TIMESTAMPTZ,
    PRIMARY KEY (project_id, number)
);
CREATE INDEX request_notes_due ON request_notes (source_platform, next_attempt_at) WHERE posted_revision < revision AND NOT given_up;
CREATE INDEX request_notes_to_check ON request_notes (source_platform, check_at) WHERE check_at IS NOT NULL;

-- +migrate Down
DROP TABLE request_notes;
