-- +migrate Up
-- Transactions take their locks in this order, so that none of them and this one wait for each other.
LOCK TABLE projects, alert_numbers IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE alerts, open_alerts IN ACCESS EXCLUSIVE MODE;

-- Lists of alerts over all projects. on_default tells that the default branch has it open, or any head where no default branch is
-- known. cve_id is the finding's; words is what a search reads besides title, file and rule.
ALTER TABLE alerts
    ADD COLUMN on_default BOOLEAN NOT NULL DEFAULT FALSE,
    ADD COLUMN cve_id     TEXT NOT NULL DEFAULT '',
    ADD COLUMN words      TEXT NOT NULL DEFAULT '';

-- Decisions that were made together have one batch, by which they are withdrawn together.
ALTER TABLE alert_decisions ADD COLUMN batch TEXT NOT NULL DEFAULT '';

-- How many alerts are on each shelf: open (on the default branch), branch (open elsewhere only), dismissed, fixed. Triggers keep the
-- numbers, whoever writes alerts, as the release before does. Names are cut so that the key fits into a page of the index.
CREATE TABLE alert_tallies (
    shelf      TEXT NOT NULL,
    project_id BIGINT NOT NULL,
    severity   TEXT NOT NULL,
    tool       TEXT NOT NULL,
    rule_id    TEXT NOT NULL,
    n          BIGINT NOT NULL,
    PRIMARY KEY (shelf, project_id, severity, tool, rule_id)
);

UPDATE alerts SET on_default = TRUE
FROM projects p
    JOIN alert_heads h ON h.project_id = p.id AND (p.default_branch = '' OR h.ref = 'refs/heads/' || p.default_branch)
    JOIN open_alerts o ON o.head_id = h.id
WHERE alerts.id = o.alert_id;

UPDATE alerts SET cve_id = f.cve_id, words = SUBSTR(f.message, 1, 500) || ' ' || f.vulnerability_ids || ' ' || f.cve_id || ' ' || f.cwe
FROM alert_heads h JOIN findings f ON f.scan_id = h.scan_id
WHERE f.alert_id = alerts.id;

INSERT INTO alert_tallies (shelf, project_id, severity, tool, rule_id, n)
SELECT CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END, project_id, severity, SUBSTR(tool, 1, 200),
    SUBSTR(rule_id, 1, 200), COUNT(*)
FROM alerts GROUP BY 1, 2, 3, 4, 5;

-- +migrate StatementBegin
CREATE FUNCTION tally_new_alerts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO alert_tallies AS t (shelf, project_id, severity, tool, rule_id, n)
    SELECT CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END, project_id, severity,
        SUBSTR(tool, 1, 200), SUBSTR(rule_id, 1, 200), COUNT(*)
    FROM fresh GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (shelf, project_id, severity, tool, rule_id) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION tally_changed_alerts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO alert_tallies AS t (shelf, project_id, severity, tool, rule_id, n)
    SELECT CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END, project_id, severity,
        SUBSTR(tool, 1, 200), SUBSTR(rule_id, 1, 200), SUM(by)
    FROM (
        SELECT on_default, state, project_id, severity, tool, rule_id, -1 AS by FROM was
        UNION ALL SELECT on_default, state, project_id, severity, tool, rule_id, 1 FROM changed) both_of_them
    GROUP BY 1, 2, 3, 4, 5 HAVING SUM(by) <> 0 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (shelf, project_id, severity, tool, rule_id) DO UPDATE SET n = t.n + excluded.n;
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION show_on_default() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alerts SET on_default = TRUE
    FROM came o JOIN alert_heads h ON h.id = o.head_id JOIN projects p ON p.id = h.project_id
    WHERE alerts.id = o.alert_id AND NOT alerts.on_default AND (p.default_branch = '' OR h.ref = 'refs/heads/' || p.default_branch);
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION hide_on_default() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alerts SET on_default = FALSE
    FROM went o JOIN alert_heads h ON h.id = o.head_id JOIN projects p ON p.id = h.project_id
    WHERE alerts.id = o.alert_id AND alerts.on_default AND (h.ref = 'refs/heads/' || p.default_branch OR p.default_branch = '' AND NOT EXISTS (
        SELECT 1 FROM alert_heads other JOIN open_alerts still ON still.head_id = other.id AND still.alert_id = o.alert_id
        WHERE other.project_id = p.id));
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION follow_default() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alerts SET on_default = NOT on_default
    WHERE project_id = NEW.id AND on_default <> EXISTS (
        SELECT 1 FROM alert_heads h JOIN open_alerts o ON o.head_id = h.id AND o.alert_id = alerts.id
        WHERE h.project_id = NEW.id AND (NEW.default_branch = '' OR h.ref = 'refs/heads/' || NEW.default_branch));
    RETURN NULL;
END $$;
-- +migrate StatementEnd

CREATE TRIGGER alerts_come AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_new_alerts();
CREATE TRIGGER alerts_change AFTER UPDATE ON alerts
    REFERENCING OLD TABLE AS was NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION tally_changed_alerts();
CREATE TRIGGER open_alerts_come AFTER INSERT ON open_alerts
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION show_on_default();
CREATE TRIGGER open_alerts_go AFTER DELETE ON open_alerts
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION hide_on_default();
CREATE TRIGGER projects_change AFTER UPDATE OF default_branch ON projects
    FOR EACH ROW WHEN (NEW.default_branch <> OLD.default_branch) EXECUTE FUNCTION follow_default();

-- +migrate Down
DROP TRIGGER projects_change ON projects;
DROP TRIGGER open_alerts_go ON open_alerts;
DROP TRIGGER open_alerts_come ON open_alerts;
DROP TRIGGER alerts_change ON alerts;
DROP TRIGGER alerts_come ON alerts;
DROP FUNCTION follow_default();
DROP FUNCTION hide_on_default();
DROP FUNCTION show_on_default();
DROP FUNCTION tally_changed_alerts();
DROP FUNCTION tally_new_alerts();
DROP TABLE alert_tallies;
ALTER TABLE alert_decisions DROP COLUMN batch;
ALTER TABLE alerts DROP COLUMN words, DROP COLUMN cve_id, DROP COLUMN on_default;
