-- +migrate Up notransaction
-- Pages of the lists, by the shelf of migration 0006. Names are cut so that they fit into a page of the index.
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_listed ON alerts
    ((CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END), severity, first_seen, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_listed_in_project ON alerts
    (project_id, (CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END), severity, first_seen, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_listed_by_rule ON alerts
    ((SUBSTR(rule_id, 1, 200)), (CASE WHEN on_default THEN 'open' WHEN state = 'open' THEN 'branch' ELSE state END), severity, first_seen, id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS alerts_by_cve ON alerts (cve_id) WHERE cve_id <> '';
CREATE INDEX CONCURRENTLY IF NOT EXISTS alert_decisions_of_batch ON alert_decisions (batch, id) WHERE batch <> '';
CREATE INDEX CONCURRENTLY IF NOT EXISTS epss_data_kev ON epss_data (cve_id) WHERE kev;

-- +migrate Down notransaction
DROP INDEX epss_data_kev;
DROP INDEX alert_decisions_of_batch;
DROP INDEX alerts_by_cve;
DROP INDEX alerts_listed_by_rule;
DROP INDEX alerts_listed_in_project;
DROP INDEX alerts_listed;
