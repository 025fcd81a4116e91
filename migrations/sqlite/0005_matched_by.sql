-- +migrate Up
-- Why a finding counts as an earlier one; empty for one that does not, or where it is not known.
ALTER TABLE findings ADD COLUMN matched_by TEXT NOT NULL DEFAULT '';

-- +migrate Down
ALTER TABLE findings DROP COLUMN matched_by;
