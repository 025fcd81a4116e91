-- +migrate Up
-- How many times another program has replaced our status of the commit on the platform.
ALTER TABLE commit_statuses ADD COLUMN overwrites INTEGER NOT NULL DEFAULT 0;

-- +migrate Down
ALTER TABLE commit_statuses DROP COLUMN overwrites;
