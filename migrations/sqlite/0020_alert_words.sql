-- +migrate Up
-- The words of each alert, for searches by how words begin. Triggers keep them, whoever writes alerts, as the release before does. A word
-- is letters and digits; all characters beyond ASCII count as letters.
CREATE VIRTUAL TABLE alert_words USING fts5 (words, content='', contentless_delete=1, detail='none', tokenize='ascii');

INSERT INTO alert_words (rowid, words)
SELECT id, title || ' ' || file || ' ' || rule_id || ' ' || words FROM alerts ORDER BY id;

-- +migrate StatementBegin
CREATE TRIGGER index_alerts_come AFTER INSERT ON alerts BEGIN
    INSERT INTO alert_words (rowid, words) VALUES (NEW.id, NEW.title || ' ' || NEW.file || ' ' || NEW.rule_id || ' ' || NEW.words);
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER index_alerts_change AFTER UPDATE OF title, file, rule_id, words ON alerts
WHEN (NEW.title, NEW.file, NEW.rule_id, NEW.words) <> (OLD.title, OLD.file, OLD.rule_id, OLD.words)
BEGIN
    UPDATE alert_words SET words = NEW.title || ' ' || NEW.file || ' ' || NEW.rule_id || ' ' || NEW.words WHERE rowid = NEW.id;
END;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE TRIGGER index_alerts_go AFTER DELETE ON alerts BEGIN
    DELETE FROM alert_words WHERE rowid = OLD.id;
END;
-- +migrate StatementEnd

-- +migrate Down
DROP TRIGGER index_alerts_go;
DROP TRIGGER index_alerts_change;
DROP TRIGGER index_alerts_come;
DROP TABLE alert_words;
