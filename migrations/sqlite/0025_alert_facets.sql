-- +migrate Up
-- Lists of the alerts that an author brought or a tool found, by the shelf of migration 0006, and of CVEs that are likely to be exploited.
CREATE INDEX alerts_listed_by_author ON alerts
    (author, (CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END), severity, first_seen, id)
    WHERE author <> '';
CREATE INDEX alerts_listed_by_tool ON alerts
    ((SUBSTR(tool, 1, 200)), (CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END), severity, first_seen, id);
CREATE INDEX epss_data_likely ON epss_data (probability, cve_id) WHERE probability >= 0.1;

-- +migrate Down
DROP INDEX epss_data_likely;
DROP INDEX alerts_listed_by_tool;
DROP INDEX alerts_listed_by_author;
