-- Each statement has its lock alone: a transaction with both could wait for one of a replica that waits for it.
-- +migrate Up notransaction
-- The commit that brought a finding in history; empty for one in the tree.
ALTER TABLE findings ADD COLUMN IF NOT EXISTS commit_sha TEXT NOT NULL DEFAULT '';
-- What the scanner searched and left out, as JSON; empty where it does not tell.
ALTER TABLE scan_jobs ADD COLUMN IF NOT EXISTS coverage TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE scan_jobs DROP COLUMN coverage;
ALTER TABLE findings DROP COLUMN commit_sha;
