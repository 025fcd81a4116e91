-- +migrate Up
-- A finding that failed the gate when it came to the default branch, and is not fixed.
ALTER TABLE findings ADD COLUMN unresolved BOOLEAN NOT NULL DEFAULT FALSE;

-- +migrate Down
ALTER TABLE findings DROP COLUMN unresolved;
