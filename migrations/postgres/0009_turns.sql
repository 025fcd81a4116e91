-- +migrate Up
-- The project of a job's scan, whose jobs take turns with those of other projects, and whether it is of a fork's commit. A job that the
-- release before makes gets its project by a trigger.
ALTER TABLE scan_jobs ADD COLUMN project_id BIGINT NOT NULL DEFAULT 0;
ALTER TABLE scan_jobs ADD COLUMN fork BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE scan_jobs SET project_id = (SELECT s.project_id FROM scans s WHERE s.id = scan_jobs.scan_id)
WHERE state IN ('pending', 'running');

-- +migrate StatementBegin
CREATE FUNCTION give_job_its_project() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scan_jobs SET project_id = s.project_id FROM scans s WHERE s.id = NEW.scan_id AND scan_jobs.id = NEW.id;
    RETURN NULL;
END $$;
-- +migrate StatementEnd

CREATE TRIGGER scan_jobs_come AFTER INSERT ON scan_jobs
    FOR EACH ROW WHEN (NEW.project_id = 0) EXECUTE FUNCTION give_job_its_project();

-- +migrate Down
DROP TRIGGER scan_jobs_come ON scan_jobs;
DROP FUNCTION give_job_its_project();
ALTER TABLE scan_jobs DROP COLUMN fork, DROP COLUMN project_id;
