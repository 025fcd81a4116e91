-- +migrate Up
LOCK TABLE alerts IN SHARE ROW EXCLUSIVE MODE;

-- The words of each alert, for searches by how words begin. Triggers keep them, whoever writes alerts, as the release before does.
CREATE TABLE alert_words (
    alert_id BIGINT PRIMARY KEY,
    words    TSVECTOR NOT NULL
);

-- A word is letters and digits; all characters beyond ASCII count as letters. What is longer than 100 characters is cut.
-- REPLACE takes a tenth of the time of translate, and a fourth of that of a regular expression.
-- +migrate StatementBegin
CREATE FUNCTION words_of(said TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE AS $$
    SELECT array_to_tsvector(COALESCE((SELECT array_agg(SUBSTR(word, 1, 100)) FROM unnest(string_to_array(
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(LOWER(said)
            , '!', ' '), '"', ' '), '#', ' '), '$', ' '), '%', ' '), '&', ' '), '''', ' '), '(', ' '), ')', ' '), '*', ' ')
            , '+', ' '), ',', ' '), '-', ' '), '.', ' '), '/', ' '), ':', ' '), ';', ' '), '<', ' '), '=', ' '), '>', ' '), '?', ' ')
            , '@', ' '), '[', ' '), '\', ' '), ']', ' '), '^', ' '), '_', ' '), '`', ' '), '{', ' '), '|', ' '), '}', ' '), '~', ' ')
            , E'\t', ' '), E'\n', ' '), E'\r', ' '),
        ' ')) word WHERE word <> ''), '{}'))
$$;
-- +migrate StatementEnd

INSERT INTO alert_words (alert_id, words)
SELECT id, words_of(title || ' ' || file || ' ' || rule_id || ' ' || words) FROM alerts ORDER BY id;

CREATE INDEX alert_words_searched ON alert_words USING gin (words);

-- Sessions plan without bitmaps, which only this index has; its own plan is the same whatever is known of the table.
-- +migrate StatementBegin
CREATE FUNCTION alerts_with(wanted TSQUERY, most BIGINT) RETURNS SETOF BIGINT LANGUAGE sql STABLE
    SET enable_bitmapscan = on SET enable_seqscan = off AS $$
    SELECT alert_id FROM alert_words WHERE words @@ wanted LIMIT most
$$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION index_new_alerts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO alert_words (alert_id, words)
    SELECT id, words_of(title || ' ' || file || ' ' || rule_id || ' ' || words) FROM fresh;
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION index_changed_alert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alert_words SET words = words_of(NEW.title || ' ' || NEW.file || ' ' || NEW.rule_id || ' ' || NEW.words) WHERE alert_id = NEW.id;
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- +migrate StatementBegin
CREATE FUNCTION forget_gone_alerts() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM alert_words WHERE alert_id IN (SELECT id FROM gone);
    RETURN NULL;
END $$;
-- +migrate StatementEnd

-- scanhook move leaves triggers on that begin with index_: SQLite has no such table to copy.
CREATE TRIGGER index_alerts_come AFTER INSERT ON alerts
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION index_new_alerts();
CREATE TRIGGER index_alerts_change AFTER UPDATE OF title, file, rule_id, words ON alerts
    FOR EACH ROW WHEN ((NEW.title, NEW.file, NEW.rule_id, NEW.words) IS DISTINCT FROM (OLD.title, OLD.file, OLD.rule_id, OLD.words))
    EXECUTE FUNCTION index_changed_alert();
CREATE TRIGGER index_alerts_go AFTER DELETE ON alerts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_gone_alerts();

-- +migrate Down
DROP TRIGGER index_alerts_go ON alerts;
DROP TRIGGER index_alerts_change ON alerts;
DROP TRIGGER index_alerts_come ON alerts;
DROP FUNCTION forget_gone_alerts();
DROP FUNCTION index_changed_alert();
DROP FUNCTION index_new_alerts();
DROP FUNCTION alerts_with(TSQUERY, BIGINT);
DROP TABLE alert_words;
DROP FUNCTION words_of(TEXT);
