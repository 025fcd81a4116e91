-- +migrate Up
-- The project of a job's scan, whose jobs take turns with those of other projects, and whether it is of a fork's commit. A job that the
-- release before makes gets its project by a trigger.
ALTER TABLE scan_jobs ADD COLUMN project_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scan_jobs ADD COLUMN fork BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE scan_jobs SET project_id = (SELECT s.project_id FROM scans s WHERE s.id = scan_jobs.scan_id)
WHERE state IN ('pending', 'running');

-- +migrate StatementBegin
CREATE TRIGGER scan_jobs_come AFTER INSERT ON scan_jobs WHEN NEW.project_id = 0 BEGIN
    UPDATE scan_jobs SET project_id = (SELECT project_id FROM scans WHERE id = NEW.scan_id) WHERE id = NEW.id;
END;
-- +migrate StatementEnd

-- +migrate Down
DROP TRIGGER scan_jobs_come;
ALTER TABLE scan_jobs DROP COLUMN fork;
ALTER TABLE scan_jobs DROP COLUMN project_id;
