-- +migrate Up
-- Whose session it is, by what never changes of them: empty for one that the release before opened. Then what people recognise it by.
ALTER TABLE sessions ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN opened_at TIMESTAMP;

-- +migrate Down
ALTER TABLE sessions DROP COLUMN opened_at;
ALTER TABLE sessions DROP COLUMN address;
ALTER TABLE sessions DROP COLUMN name;
ALTER TABLE sessions DROP COLUMN subject;
