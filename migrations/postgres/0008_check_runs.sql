-- +migrate Up
-- How a platform shows a status: as a commit status, or as a check run.
ALTER TABLE commit_statuses ADD COLUMN kind TEXT NOT NULL DEFAULT 'status';

-- +migrate Down
ALTER TABLE commit_statuses DROP COLUMN kind;
