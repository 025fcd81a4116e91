-- +migrate Up
-- Lists of alerts over all projects. on_default tells that the default branch has it open, or any head where no default branch is
-- known. cve_id is the finding's; words is what a search reads besides title, file and rule.
ALTER TABLE alerts ADD COLUMN on_default BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE alerts ADD COLUMN cve_id TEXT NOT NULL DEFAULT '';
ALTER TABLE alerts ADD COLUMN words TEXT NOT NULL DEFAULT '';

-- Decisions that were made together have one batch, by which they are withdrawn together.
ALTER TABLE alert_decisions ADD COLUMN batch TEXT NOT NULL DEFAULT '';

-- How many alerts are on each shelf: open (on the default branch), branch (open elsewhere only), dismissed, fixed. Triggers keep the
-- numbers, whoever writes alerts, as the release before does.
CREATE TABLE alert_tallies (
    shelf      TEXT NOT NULL,
    project_id INTEGER NOT NULL,
    severity   TEXT NOT NULL,
    tool       TEXT NOT NULL,
    rule_id    TEXT NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (shelf, project_id, severity, tool, rule_id)
) WITHOUT ROWID;

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
CREATE TRIGGER alerts_come AFTER INSERT ON alerts BEGIN
    INSERT INTO alert_tallies (shelf, project_id, severity, tool, rule_id, n)
    VALUES (CASE WHEN NEW.on_default THEN 'open' WHEN NEW.state = 'open' THEN 'branch' ELSE NEW.state END, NEW.project_id, NEW.severity,
        SUBSTR(NEW.tool, 1, 200), SUBSTR(NEW.rule_id, 1, 200), 1)
    ON CONFLICT (shelf, project_id, severity, tool, rule_id) DO UPDATE SET n = n + excluded.n;
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER alerts_change AFTER UPDATE OF on_default, state, severity, tool, rule_id ON alerts
WHEN (NEW.on_default, NEW.state, NEW.severity, NEW.tool, NEW.rule_id) <> (OLD.on_default, OLD.state, OLD.severity, OLD.tool, OLD.rule_id)
BEGIN
    INSERT INTO alert_tallies (shelf, project_id, severity, tool, rule_id, n)
    VALUES (CASE WHEN OLD.on_default THEN 'open' WHEN OLD.state = 'open' THEN 'branch' ELSE OLD.state END, OLD.project_id, OLD.severity,
        SUBSTR(OLD.tool, 1, 200), SUBSTR(OLD.rule_id, 1, 200), -1)
    ON CONFLICT (shelf, project_id, severity, tool, rule_id) DO UPDATE SET n = n + excluded.n;
    INSERT INTO alert_tallies (shelf, project_id, severity, tool, rule_id, n)
    VALUES (CASE WHEN NEW.on_default THEN 'open' WHEN NEW.state = 'open' THEN 'branch' ELSE NEW.state END, NEW.project_id, NEW.severity,
        SUBSTR(NEW.tool, 1, 200), SUBSTR(NEW.rule_id, 1, 200), 1)
    ON CONFLICT (shelf, project_id, severity, tool, rule_id) DO UPDATE SET n = n + excluded.n;
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER open_alerts_come AFTER INSERT ON open_alerts BEGIN
    UPDATE alerts SET on_default = TRUE
    WHERE id = NEW.alert_id AND NOT on_default AND EXISTS (
        SELECT 1 FROM alert_heads h JOIN projects p ON p.id = h.project_id
        WHERE h.id = NEW.head_id AND (p.default_branch = '' OR h.ref = 'refs/heads/' || p.default_branch));
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER open_alerts_go AFTER DELETE ON open_alerts BEGIN
    UPDATE alerts SET on_default = FALSE
    WHERE id = OLD.alert_id AND on_default AND EXISTS (
        SELECT 1 FROM alert_heads h JOIN projects p ON p.id = h.project_id
        WHERE h.id = OLD.head_id AND (h.ref = 'refs/heads/' || p.default_branch OR p.default_branch = '' AND NOT EXISTS (
            SELECT 1 FROM alert_heads other JOIN open_alerts still ON still.head_id = other.id AND still.alert_id = OLD.alert_id
            WHERE other.project_id = p.id)));
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER projects_change AFTER UPDATE OF default_branch ON projects
WHEN NEW.default_branch <> OLD.default_branch
BEGIN
    UPDATE alerts SET on_default = NOT on_default
    WHERE project_id = NEW.id AND on_default <> EXISTS (
        SELECT 1 FROM alert_heads h JOIN open_alerts o ON o.head_id = h.id AND o.alert_id = alerts.id
        WHERE h.project_id = NEW.id AND (NEW.default_branch = '' OR h.ref = 'refs/heads/' || NEW.default_branch));
END;
-- +migrate StatementEnd

-- +migrate Down
DROP TRIGGER projects_change;
DROP TRIGGER open_alerts_go;
DROP TRIGGER open_alerts_come;
DROP TRIGGER alerts_change;
DROP TRIGGER alerts_come;
DROP TABLE alert_tallies;
ALTER TABLE alert_decisions DROP COLUMN batch;
ALTER TABLE alerts DROP COLUMN words;
ALTER TABLE alerts DROP COLUMN cve_id;
ALTER TABLE alerts DROP COLUMN on_default;
