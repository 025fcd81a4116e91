-- +migrate Up
-- The random bytes by which this installation masks secrets and tells them apart. The first start makes the only row, 1.
CREATE TABLE installation (
    id         INTEGER PRIMARY KEY,
    secret_key BLOB NOT NULL
);
-- Which secret a finding is about, by a hash with that key; empty for others, and for those of before there were hashes.
ALTER TABLE findings ADD COLUMN secret_hash TEXT NOT NULL DEFAULT '';
-- Which secret an alert of before there were hashes is about, once that is known; empty for all others.
ALTER TABLE alerts ADD COLUMN secret_hash TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE alerts DROP COLUMN secret_hash;
ALTER TABLE findings DROP COLUMN secret_hash;
DROP TABLE installation;
