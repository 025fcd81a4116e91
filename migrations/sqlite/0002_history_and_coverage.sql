-- +migrate Up
-- The commit that brought a finding in history; empty for one in the tree.
ALTER TABLE findings ADD COLUMN commit_sha TEXT NOT NULL DEFAULT '';
-- What the scanner searched and left out, as JSON; empty where it does not tell.
ALTER TABLE scan_jobs ADD COLUMN coverage TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE scan_jobs DROP COLUMN coverage;
ALTER TABLE findings DROP COLUMN commit_sha;
