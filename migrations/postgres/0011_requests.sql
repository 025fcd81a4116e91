-- +migrate Up
-- Pull and merge requests, as their last event describes them: which commit is their head, and into which branch it is to go. fork
-- says that the head belongs to another repository.
CREATE TABLE requests (
    project_id BIGINT NOT NULL REFERENCES projects (id),
    number     BIGINT NOT NULL,
    fork       BOOLEAN NOT NULL DEFAULT FALSE,
    head_sha   TEXT NOT NULL,
    branch     TEXT NOT NULL DEFAULT '',
    target     TEXT NOT NULL DEFAULT '',
    is_open    BOOLEAN NOT NULL DEFAULT TRUE,
    updated_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, number)
);
CREATE INDEX requests_by_head ON requests (project_id, head_sha, updated_at) WHERE is_open;
CREATE INDEX requests_by_branch ON requests (project_id, branch, updated_at) WHERE is_open AND NOT fork;
-- The branch into which the commit is to go, where that is a request's; whether only requests from forks have brought it; and why it is
-- not scanned at all.
ALTER TABLE scans ADD COLUMN target_branch TEXT NOT NULL DEFAULT '';
ALTER TABLE scans ADD COLUMN fork BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scans ADD COLUMN refused TEXT NOT NULL DEFAULT '';
-- Where a status stands that the platform does not show on the commit in its project; empty for others.
ALTER TABLE commit_statuses ADD COLUMN shown_in TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE commit_statuses DROP COLUMN shown_in;
ALTER TABLE scans DROP COLUMN refused;
ALTER TABLE scans DROP COLUMN fork;
ALTER TABLE scans DROP COLUMN target_branch;
DROP TABLE requests;
