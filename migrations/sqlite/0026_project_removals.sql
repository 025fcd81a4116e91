-- +migrate Up
-- Projects that are deleted with everything, a batch at a time. A row stays for a while after that, so that all processes remove their
-- mirrors.
CREATE TABLE project_removals (
    project_id   INTEGER PRIMARY KEY,
    platform     TEXT NOT NULL,
    platform_ref TEXT NOT NULL DEFAULT '',
    name         TEXT NOT NULL,
    repo_url     TEXT NOT NULL DEFAULT '',
    asked_by     TEXT NOT NULL,
    asked_at     TIMESTAMP NOT NULL,
    ended_at     TIMESTAMP
);

-- +migrate Down
DROP TABLE project_removals;
