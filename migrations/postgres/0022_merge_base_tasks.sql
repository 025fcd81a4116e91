-- +migrate Up
-- The commit where a branch left its target, where the platform did not tell it in time.
ALTER TABLE enrichment_tasks DROP CONSTRAINT enrichment_tasks_kind_check;
ALTER TABLE enrichment_tasks ADD CONSTRAINT enrichment_tasks_kind_check CHECK (kind IN ('artifacts', 'changed_files', 'merge_base'));

-- +migrate Down
DELETE FROM enrichment_tasks WHERE kind = 'merge_base';
ALTER TABLE enrichment_tasks DROP CONSTRAINT enrichment_tasks_kind_check;
ALTER TABLE enrichment_tasks ADD CONSTRAINT enrichment_tasks_kind_check CHECK (kind IN ('artifacts', 'changed_files'));
