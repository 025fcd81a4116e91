-- +migrate Up
-- The first line of the message of a scan's commit, and its author's name, as the platform tells them. An alert keeps the author of the commit
-- that brought it, which outlives the scan, and the package that is vulnerable.
ALTER TABLE scans ADD COLUMN commit_title TEXT NOT NULL DEFAULT '';
ALTER TABLE scans ADD COLUMN commit_author TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN author TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN package TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE alerts DROP COLUMN package;
ALTER TABLE alerts DROP COLUMN author;
ALTER TABLE scans DROP COLUMN commit_author;
ALTER TABLE scans DROP COLUMN commit_title;
