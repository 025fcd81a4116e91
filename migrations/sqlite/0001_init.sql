-- +migrate Up
-- SQLite builds the list of an IN with more than two values anew for each row that it checks, so the checks below compare one by one.

-- Repositories, by the platform's numeric id; the name can change hands. Without an id only the name is known. seen_at is as of
-- when name, default branch and address are known; a project that is gone was deleted, or another one has its name.
CREATE TABLE projects (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    platform       TEXT NOT NULL,
    platform_ref   TEXT NOT NULL DEFAULT '',
    name           TEXT NOT NULL,
    name_key       TEXT NOT NULL,
    default_branch TEXT NOT NULL DEFAULT '',
    repo_url       TEXT NOT NULL DEFAULT '',
    seen_at        TIMESTAMP NOT NULL,
    deleted_at     TIMESTAMP,
    gone_at        TIMESTAMP
);
CREATE UNIQUE INDEX projects_by_ref ON projects (platform, platform_ref) WHERE platform_ref <> '';
CREATE UNIQUE INDEX projects_live ON projects (platform, name_key) WHERE gone_at IS NULL;
CREATE INDEX projects_by_name ON projects (platform, name_key);

-- Names that projects had before they got another, until another project has it: old links lead to the present name.
CREATE TABLE former_names (
    platform   TEXT NOT NULL,
    name_key   TEXT NOT NULL,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    PRIMARY KEY (platform, name_key)
);

CREATE TABLE scans (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    reference_id            TEXT NOT NULL UNIQUE,
    project_id              INTEGER NOT NULL REFERENCES projects (id),
    source_platform         TEXT NOT NULL,
    project_name            TEXT NOT NULL,
    repo_url                TEXT NOT NULL DEFAULT '',
    ref                     TEXT NOT NULL DEFAULT '',
    branch                  TEXT NOT NULL DEFAULT '',
    default_branch          TEXT NOT NULL DEFAULT '',
    commit_sha              TEXT NOT NULL,
    before_sha              TEXT NOT NULL DEFAULT '',
    attempt                 INTEGER NOT NULL DEFAULT 1,
    first_scan_id           INTEGER,
    context                 TEXT NOT NULL DEFAULT 'scanhook',
    origin                  TEXT NOT NULL DEFAULT 'push',
    timestamp               TIMESTAMP NOT NULL,
    status                  TEXT NOT NULL DEFAULT 'pending'
                            CHECK (status = 'pending' OR status = 'processing' OR status = 'completed' OR status = 'failed'),
    verdict                 TEXT CHECK (verdict IN ('pass', 'fail')),
    verdict_reason          TEXT NOT NULL DEFAULT '',
    deciding                TEXT NOT NULL DEFAULT '',
    num_deciding            INTEGER NOT NULL DEFAULT 0,
    summary                 TEXT NOT NULL DEFAULT '',
    error                   TEXT NOT NULL DEFAULT '',
    superseded_by           TEXT NOT NULL DEFAULT '',
    num_changed_files       INTEGER,
    changed_files_truncated BOOLEAN NOT NULL DEFAULT FALSE,
    merge_base_sha          TEXT NOT NULL DEFAULT '',
    baseline_scan_id        INTEGER REFERENCES scans (id) ON DELETE SET NULL,
    shared_refs             BOOLEAN NOT NULL DEFAULT FALSE,
    delivery_id             INTEGER,
    deadline_at             TIMESTAMP NOT NULL,
    started_at              TIMESTAMP,
    finished_at             TIMESTAMP,
    UNIQUE (commit_sha, project_id, attempt)
);
CREATE INDEX scans_by_merge_base ON scans (merge_base_sha) WHERE merge_base_sha <> '';
CREATE INDEX scans_by_baseline ON scans (baseline_scan_id) WHERE baseline_scan_id IS NOT NULL;
CREATE INDEX scans_open ON scans (deadline_at, source_platform, project_id, branch, status, id)
    WHERE status IN ('pending', 'processing');

-- How scans have ended: pass, fail or failed. The indexes of lists are here, so that a push writes none of them.
-- They end with an expression, in whose order lists are read: PostgreSQL would else walk through the primary key.
CREATE TABLE outcomes (
    scan_id         INTEGER PRIMARY KEY REFERENCES scans (id) ON DELETE CASCADE,
    source_platform TEXT NOT NULL,
    project_id      INTEGER NOT NULL,
    branch          TEXT NOT NULL,
    outcome         TEXT NOT NULL CHECK (outcome = 'pass' OR outcome = 'fail' OR outcome = 'failed')
);
CREATE INDEX outcomes_on_platform ON outcomes (source_platform, outcome, (scan_id + 0));
CREATE INDEX outcomes_by_branch ON outcomes (source_platform, branch, outcome, (scan_id + 0));
CREATE INDEX outcomes_in_project ON outcomes (project_id, outcome, (scan_id + 0));
CREATE INDEX outcomes_in_project_by_branch ON outcomes (project_id, branch, outcome, (scan_id + 0));

CREATE TABLE scan_jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id      INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    scanner      TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'pending'
                 CHECK (state = 'pending' OR state = 'running' OR state = 'completed' OR state = 'failed' OR state = 'superseded'),
    attempt      INTEGER NOT NULL DEFAULT 0,
    worker       TEXT NOT NULL DEFAULT '',
    lapses       INTEGER NOT NULL DEFAULT 0,
    lost_workers TEXT NOT NULL DEFAULT '',
    failures     INTEGER NOT NULL DEFAULT 0,
    lease_until  TIMESTAMP,
    not_before   TIMESTAMP,
    error        TEXT NOT NULL DEFAULT '',
    num_findings INTEGER NOT NULL DEFAULT 0,
    num_unchanged INTEGER NOT NULL DEFAULT 0,
    num_absent   INTEGER NOT NULL DEFAULT 0,
    baseline_scan_id INTEGER REFERENCES scans (id) ON DELETE SET NULL,
    started_at   TIMESTAMP,
    finished_at  TIMESTAMP,
    UNIQUE (scan_id, scanner)
);
CREATE INDEX scan_jobs_by_baseline ON scan_jobs (baseline_scan_id) WHERE baseline_scan_id IS NOT NULL;
CREATE INDEX scan_jobs_fresh ON scan_jobs (scanner, id) WHERE state = 'pending' AND not_before IS NULL;
CREATE INDEX scan_jobs_postponed ON scan_jobs (scanner, not_before) WHERE state = 'pending' AND not_before IS NOT NULL;
CREATE INDEX scan_jobs_held ON scan_jobs (worker) WHERE state = 'running';

-- The same findings through all commits of a project; they outlive the scans. What they say of a finding is as of the last one
-- that differed. An id is the project's * 2^32 + the number, so that no index is needed to find one by the other. A constraint would
-- cost a third of an insert.
CREATE TABLE alerts (
    id                 INTEGER PRIMARY KEY,
    project_id         INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    key                TEXT NOT NULL,
    tool               TEXT NOT NULL,
    rule_id            TEXT NOT NULL,
    severity           TEXT NOT NULL CHECK (severity = 'Critical' OR severity = 'High' OR severity = 'Medium' OR severity = 'Low'),
    title              TEXT NOT NULL DEFAULT '',
    file               TEXT NOT NULL,
    line               INTEGER NOT NULL,
    state              TEXT NOT NULL CHECK (state = 'open' OR state = 'dismissed' OR state = 'fixed'),
    first_seen         TIMESTAMP NOT NULL,
    first_seen_scan_id INTEGER NOT NULL,
    last_seen          TIMESTAMP,
    last_seen_scan_id  INTEGER
);
CREATE UNIQUE INDEX alerts_by_key ON alerts (project_id, key);
CREATE INDEX alerts_not_open ON alerts (project_id, state, number) WHERE state <> 'open';

-- The last number of each project's alerts. Who adds alerts holds the row.
CREATE TABLE alert_numbers (
    project_id INTEGER PRIMARY KEY REFERENCES projects (id),
    last       INTEGER NOT NULL
);

-- The branches and requests whose open alerts are kept, as of the last completed scan of the commit where they stand.
CREATE TABLE alert_heads (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    ref        TEXT NOT NULL,
    scan_id    INTEGER NOT NULL,
    seen_at    TIMESTAMP NOT NULL,
    UNIQUE (project_id, ref)
);

-- A head and an alert in each row; constraints would cost more than the rows.
CREATE TABLE open_alerts (
    head_id  INTEGER NOT NULL,
    alert_id INTEGER NOT NULL,
    PRIMARY KEY (head_id, alert_id)
) WITHOUT ROWID;

-- How many alerts were open on the default branch when each day ended.
CREATE TABLE project_days (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    day        TEXT NOT NULL,
    critical   INTEGER NOT NULL,
    high       INTEGER NOT NULL,
    medium     INTEGER NOT NULL,
    low        INTEGER NOT NULL,
    PRIMARY KEY (project_id, day)
);

-- job_id is a job of scan_id and is deleted with it, and alerts are never deleted. Constraints of their own would cost half of the
-- time of an insert.
CREATE TABLE findings (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id           INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    job_id            INTEGER NOT NULL,
    alert_id          INTEGER NOT NULL,
    tool              TEXT NOT NULL,
    rule_id           TEXT NOT NULL,
    file              TEXT NOT NULL,
    line              INTEGER NOT NULL,
    end_line          INTEGER NOT NULL DEFAULT 0,
    severity          TEXT NOT NULL CHECK (severity = 'Critical' OR severity = 'High' OR severity = 'Medium' OR severity = 'Low'),
    title             TEXT NOT NULL DEFAULT '',
    message           TEXT NOT NULL DEFAULT '',
    cve_id            TEXT NOT NULL DEFAULT '',
    cwe               TEXT NOT NULL DEFAULT '',
    help_uri          TEXT NOT NULL DEFAULT '',
    snippet           TEXT NOT NULL DEFAULT '',
    code              TEXT NOT NULL DEFAULT '',
    code_line         INTEGER NOT NULL DEFAULT 0,
    fingerprint       TEXT NOT NULL,
    anchor            TEXT NOT NULL DEFAULT '',
    baseline_state    TEXT NOT NULL DEFAULT 'new' CHECK (baseline_state = 'new' OR baseline_state = 'unchanged' OR baseline_state = 'absent'),
    suppressed        TEXT,
    triage_decision   TEXT CHECK (triage_decision IN ('TP', 'FP')),
    ai_verdict        TEXT,
    ai_confidence     REAL CHECK (ai_confidence BETWEEN 0 AND 1),
    ai_reasoning      TEXT,
    remediation_patch TEXT,
    red_team_success  BOOLEAN
);
CREATE INDEX findings_by_scan ON findings (scan_id, alert_id);
CREATE INDEX findings_by_job ON findings (job_id);
CREATE INDEX findings_by_state ON findings (scan_id, baseline_state, severity, triage_decision, cve_id);
CREATE INDEX findings_suppressed ON findings (scan_id) WHERE suppressed IS NOT NULL;

CREATE TABLE feedbacks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    finding_id   INTEGER NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
    user_verdict TEXT NOT NULL CHECK (user_verdict IN ('TP', 'FP')),
    comments     TEXT NOT NULL DEFAULT '',
    author       TEXT NOT NULL DEFAULT '',
    timestamp    TIMESTAMP NOT NULL,
    withdrawn_at TIMESTAMP
);
CREATE INDEX feedbacks_by_finding ON feedbacks (finding_id);

-- What was said about a finding; it outlives the finding.
CREATE TABLE triage_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id   INTEGER NOT NULL REFERENCES alerts (id),
    finding_id INTEGER NOT NULL,
    source     TEXT NOT NULL CHECK (source = 'person' OR source = 'scanner' OR source = 'ai'),
    author     TEXT NOT NULL DEFAULT '',
    changes    TEXT NOT NULL,
    decides    BOOLEAN NOT NULL,
    decision   TEXT CHECK (decision IN ('TP', 'FP')),
    comment    TEXT NOT NULL DEFAULT '',
    timestamp  TIMESTAMP NOT NULL
);
CREATE INDEX triage_events_by_alert ON triage_events (alert_id, id);

-- What was decided on an alert, by each source, in the order of the decisions.
CREATE TABLE alert_decisions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    alert_id   INTEGER NOT NULL REFERENCES alerts (id),
    source     TEXT NOT NULL CHECK (source = 'person' OR source = 'scanner' OR source = 'ai' OR source = 'red_team'),
    decision   TEXT NOT NULL CHECK (decision IN ('TP', 'FP')),
    author     TEXT NOT NULL DEFAULT '',
    comment    TEXT NOT NULL DEFAULT '',
    finding_id INTEGER NOT NULL,
    timestamp  TIMESTAMP NOT NULL,
    UNIQUE (alert_id, source)
);
CREATE INDEX alert_decisions_in_project ON alert_decisions (project_id);

CREATE TABLE pipeline_metrics (
    id                     INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id                INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    build_duration_seconds REAL,
    artifact_size_bytes    INTEGER,
    num_changed_files      INTEGER,
    project_id             INTEGER NOT NULL REFERENCES projects (id),
    branch                 TEXT NOT NULL DEFAULT '',
    on_default_branch      BOOLEAN NOT NULL DEFAULT FALSE,
    source                 TEXT NOT NULL DEFAULT '',
    pipeline_id            INTEGER NOT NULL,
    pipeline_attempt       INTEGER NOT NULL DEFAULT 1,
    pipeline_name          TEXT NOT NULL DEFAULT '',
    pipeline_status        TEXT NOT NULL DEFAULT '',
    phase                  INTEGER NOT NULL,
    queued_seconds         REAL,
    url                    TEXT NOT NULL DEFAULT '',
    restarted_after        TIMESTAMP,
    finished_at            TIMESTAMP,
    updated_at             TIMESTAMP,
    recorded_at            TIMESTAMP NOT NULL,
    anomaly_score          REAL,
    anomaly_reason         TEXT NOT NULL DEFAULT '',
    expected               BOOLEAN NOT NULL DEFAULT FALSE,
    expected_by            TEXT NOT NULL DEFAULT '',
    UNIQUE (scan_id, pipeline_id, pipeline_attempt),
    UNIQUE (pipeline_id, project_id, pipeline_attempt)
);
CREATE INDEX pipeline_metrics_series
    ON pipeline_metrics (project_id, pipeline_name, on_default_branch, finished_at, id)
    WHERE pipeline_status = 'success' AND finished_at IS NOT NULL;
CREATE INDEX pipeline_metrics_by_project ON pipeline_metrics (project_id, id);

-- Metadata that a delivery lacks, to be fetched from the platforms.
CREATE TABLE enrichment_tasks (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL CHECK (kind IN ('artifacts', 'changed_files')),
    source_platform TEXT NOT NULL,
    scan_id         INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    metric_id       INTEGER REFERENCES pipeline_metrics (id) ON DELETE CASCADE,
    attempts        INTEGER NOT NULL DEFAULT 0,
    requested_at     TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX enrichment_tasks_by_scan ON enrichment_tasks (scan_id);
CREATE UNIQUE INDEX enrichment_tasks_of_scan ON enrichment_tasks (scan_id, kind) WHERE metric_id IS NULL;
CREATE UNIQUE INDEX enrichment_tasks_of_metric ON enrichment_tasks (metric_id, kind) WHERE metric_id IS NOT NULL;
CREATE INDEX enrichment_tasks_due ON enrichment_tasks (source_platform, next_attempt_at) WHERE NOT given_up;

CREATE TABLE epss_data (
    cve_id      TEXT PRIMARY KEY,
    probability REAL NOT NULL,
    percentile  REAL NOT NULL,
    kev         BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE epss_imports (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL CHECK (kind IN ('epss', 'kev')),
    source        TEXT NOT NULL,
    score_date    TIMESTAMP,
    model_version TEXT NOT NULL DEFAULT '',
    etag          TEXT NOT NULL DEFAULT '',
    digest        TEXT NOT NULL DEFAULT '',
    num_rows      INTEGER NOT NULL,
    imported_at   TIMESTAMP NOT NULL,
    checked_at    TIMESTAMP NOT NULL
);

CREATE TABLE epss_changes (
    cve_id          TEXT PRIMARY KEY,
    import_id       INTEGER NOT NULL,
    was_probability REAL NOT NULL,
    was_kev         BOOLEAN NOT NULL
);

-- Verified webhook calls, and what became of each. promised is the reference_id of the scan that the call asks for. unnamed says
-- that the numeric id of its project is not to be believed. told says that what it tells of refs and projects was taken in: if it
-- comes again, it can only ask for a scan. tried_by is the version that could not derive it.
CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    platform     TEXT NOT NULL,
    delivery_key TEXT NOT NULL,
    event        TEXT NOT NULL,
    project_name TEXT NOT NULL DEFAULT '',
    project_id   INTEGER REFERENCES projects (id),
    state        TEXT NOT NULL DEFAULT 'derived' CHECK (state = 'kept' OR state = 'derived' OR state = 'ignored' OR state = 'failed'),
    outcome      TEXT NOT NULL DEFAULT '',
    reason       TEXT NOT NULL DEFAULT '',
    error        TEXT NOT NULL DEFAULT '',
    promised     TEXT NOT NULL DEFAULT '',
    commit_sha   TEXT NOT NULL DEFAULT '',
    unnamed      BOOLEAN NOT NULL DEFAULT FALSE,
    scan_id      INTEGER,
    received_at  TIMESTAMP NOT NULL,
    derived_at   TIMESTAMP,
    verified_by  TEXT NOT NULL DEFAULT '',
    signed       BOOLEAN NOT NULL DEFAULT FALSE,
    told         BOOLEAN NOT NULL DEFAULT FALSE,
    tried_by     TEXT NOT NULL DEFAULT '',
    UNIQUE (platform, delivery_key, project_name)
);
-- The calls that are still to be derived, in their order. The other indexes leave them out.
CREATE INDEX deliveries_kept ON deliveries (received_at, id) WHERE state = 'kept';
CREATE INDEX deliveries_failed ON deliveries (promised) WHERE state = 'failed';
-- The delivery that opened a scan is scans.delivery_id.
CREATE INDEX deliveries_by_scan ON deliveries (scan_id) WHERE scan_id IS NOT NULL AND outcome <> 'scan_created';
CREATE INDEX deliveries_by_state ON deliveries (platform, state, id) WHERE state <> 'kept';
CREATE INDEX deliveries_in_project ON deliveries (project_id, state, id) WHERE project_id IS NOT NULL AND state <> 'kept';
-- Calls about projects that are not known, such as those that are not configured.
CREATE INDEX deliveries_of_unknown ON deliveries (platform, project_name, state, id) WHERE project_id IS NULL AND state <> 'kept';

-- The calls as they came, header and body, compressed.
CREATE TABLE delivery_bodies (
    delivery_id INTEGER PRIMARY KEY,
    packed      BLOB NOT NULL
);

-- The days on which each configured project's webhook has called; they outlive the deliveries.
CREATE TABLE hook_calls (
    project_id      INTEGER PRIMARY KEY REFERENCES projects (id),
    last_at         TIMESTAMP NOT NULL,
    last_id         INTEGER NOT NULL,
    days            TEXT NOT NULL,
    missed_first_at TIMESTAMP,
    missed_last_at  TIMESTAMP
);

-- What commits should show. A commit is named by its first scan: a number goes to the end of an index, a hash into its midst.
-- A status that is held waits for the end of a hold, however many there are, and is due to nobody.
CREATE TABLE commit_statuses (
    first_scan_id   INTEGER NOT NULL,
    scan_id         INTEGER NOT NULL,
    source_platform TEXT NOT NULL,
    project_id      INTEGER NOT NULL REFERENCES projects (id),
    commit_sha      TEXT NOT NULL,
    branch          TEXT NOT NULL DEFAULT '',
    context         TEXT NOT NULL,
    state           TEXT NOT NULL,
    description     TEXT NOT NULL,
    target_url      TEXT NOT NULL DEFAULT '',
    revision        INTEGER NOT NULL DEFAULT 1,
    posted_revision INTEGER NOT NULL DEFAULT 0,
    posted_state    TEXT NOT NULL DEFAULT '',
    pipeline_pin    TEXT NOT NULL DEFAULT '',
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    last_error      TEXT NOT NULL DEFAULT '',
    given_up        BOOLEAN NOT NULL DEFAULT FALSE,
    held            BOOLEAN NOT NULL DEFAULT FALSE,
    desired_at       TIMESTAMP NOT NULL,
    due_since       TIMESTAMP NOT NULL,
    posted_at       TIMESTAMP,
    left_out        TEXT NOT NULL DEFAULT '',
    posted_id       INTEGER NOT NULL DEFAULT 0,
    observed_id         INTEGER NOT NULL DEFAULT 0,
    restored_revision INTEGER NOT NULL DEFAULT 0,
    check_at        TIMESTAMP,
    PRIMARY KEY (first_scan_id, context)
) WITHOUT ROWID;
CREATE INDEX commit_statuses_due ON commit_statuses (source_platform, next_attempt_at, first_scan_id, context)
    WHERE posted_revision < revision AND NOT given_up AND NOT held;
CREATE INDEX commit_statuses_held ON commit_statuses (project_id, desired_at, first_scan_id, context) WHERE held;
CREATE INDEX commit_statuses_given_up ON commit_statuses (desired_at) WHERE given_up;
CREATE INDEX commit_statuses_to_check ON commit_statuses (source_platform, check_at) WHERE check_at IS NOT NULL;

-- Each attempt to post a status with the platform's answer, equal ones in one row, and what other programs posted in its place.
CREATE TABLE status_posts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    first_scan_id INTEGER NOT NULL,
    scan_id     INTEGER NOT NULL,
    context     TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    state       TEXT NOT NULL,
    description TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome = 'posted' OR outcome = 'retry' OR outcome = 'waiting' OR outcome = 'given_up' OR outcome = 'overwritten'),
    code        INTEGER NOT NULL DEFAULT 0,
    answer      TEXT NOT NULL DEFAULT '',
    times       INTEGER NOT NULL DEFAULT 1,
    at          TIMESTAMP NOT NULL,
    last_at     TIMESTAMP NOT NULL,
    latency_ms     INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (first_scan_id, context) REFERENCES commit_statuses (first_scan_id, context) ON DELETE CASCADE
);
CREATE INDEX status_posts_by_status ON status_posts (first_scan_id, context, id);

-- Projects, or branches of them, for which posting is paused because the token may not post.
CREATE TABLE status_holds (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    project_id      INTEGER NOT NULL REFERENCES projects (id),
    branch          TEXT NOT NULL DEFAULT '',
    code            INTEGER NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL,
    since           TIMESTAMP NOT NULL,
    probes          INTEGER NOT NULL DEFAULT 1,
    next_probe_at   TIMESTAMP NOT NULL,
    UNIQUE (project_id, branch)
);
CREATE INDEX status_holds_due ON status_holds (source_platform, next_probe_at);

-- Projects whose branches and tags are compared with the scans from time to time, to scan what no webhook announced.
CREATE TABLE tracked_projects (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id      INTEGER NOT NULL UNIQUE REFERENCES projects (id),
    source_platform TEXT NOT NULL,
    synced_at       TIMESTAMP,
    next_sync_at    TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    failures        INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT NOT NULL DEFAULT ''
);
CREATE INDEX tracked_projects_due ON tracked_projects (next_sync_at);

-- Where the branches and tags of projects stand. It is moved by events that begin where it stands, and by answers of the platforms.
CREATE TABLE refs (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    sha        TEXT NOT NULL,
    before_sha TEXT NOT NULL DEFAULT '',
    moved_at   TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;

-- Refs of which events did not fit: those that wait for the one before them, as JSON. See core/refs.
CREATE TABLE ref_doubts (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    since      TIMESTAMP NOT NULL,
    waiting    TEXT NOT NULL DEFAULT '[]',
    lasting    BOOLEAN NOT NULL DEFAULT FALSE,
    named      BOOLEAN NOT NULL DEFAULT FALSE,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;

-- Where webhooks can be configured, projects, groups and apps, and their state. What a platform could not deliver is requested again.
CREATE TABLE hook_targets (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    scope           TEXT NOT NULL CHECK (scope = 'project' OR scope = 'group' OR scope = 'app'),
    project_id      INTEGER REFERENCES projects (id),
    owner           TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL DEFAULT '',
    note            TEXT NOT NULL DEFAULT '',
    arrived_until   TIMESTAMP,
    failures        INTEGER NOT NULL DEFAULT 0,
    checked_at      TIMESTAMP,
    next_check_at   TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP
);
CREATE UNIQUE INDEX hook_targets_of_project ON hook_targets (project_id) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX hook_targets_of_owner ON hook_targets (source_platform, scope, owner) WHERE project_id IS NULL;
CREATE INDEX hook_targets_due ON hook_targets (source_platform, next_check_at);

-- When each webhook secret was used. The id identifies a secret without revealing it.
CREATE TABLE secret_usages (
    platform      TEXT NOT NULL,
    secret_id     TEXT NOT NULL,
    place         TEXT NOT NULL,
    first_used_at TIMESTAMP NOT NULL,
    last_used_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (platform, secret_id)
);

-- Projects whose calls are signed: from then on, calls with only a plain token are refused.
CREATE TABLE signed_projects (
    project_id      INTEGER PRIMARY KEY REFERENCES projects (id),
    first_signed_at TIMESTAMP NOT NULL,
    last_signed_at  TIMESTAMP NOT NULL,
    num_refused     INTEGER NOT NULL DEFAULT 0,
    last_refused_at TIMESTAMP
);

-- Commits of which the built-in scanner searched the tree and all that came before, with rules of a version. A commit without a row
-- is searched again, which costs time.
CREATE TABLE searched_commits (
    project_id  INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    rules       TEXT NOT NULL,
    commit_sha  TEXT NOT NULL,
    searched_at TIMESTAMP NOT NULL,
    PRIMARY KEY (project_id, rules, commit_sha)
);

-- What was found in contents of files, or left out, by git's id of the contents and what the rules make of the path, without secrets,
-- as JSON. Contents of a searched commit that have no row are clean: so rows stay as long as commits of their rules do.
CREATE TABLE searched_contents (
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    rules      TEXT NOT NULL,
    blob       TEXT NOT NULL,
    class      TEXT NOT NULL,
    result     TEXT NOT NULL,
    PRIMARY KEY (project_id, rules, blob, class)
);

-- What remains of scans that retention removed, for visitors with an old link.
CREATE TABLE removed_scans (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    reference_id    TEXT NOT NULL UNIQUE,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    commit_sha      TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    scanned_at      TIMESTAMP NOT NULL,
    removed_at      TIMESTAMP NOT NULL
);

-- Logins to the pages. The key is derived from the browser's secret and the token that opened the session; the person is the one
-- that an identity provider named.
CREATE TABLE sessions (
    key        TEXT PRIMARY KEY,
    person     TEXT NOT NULL DEFAULT '',
    expires_at TIMESTAMP NOT NULL
);

-- Who changed what; the entries outlive what they describe.
CREATE TABLE audit_events (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp       TIMESTAMP NOT NULL,
    actor           TEXT NOT NULL,
    action          TEXT NOT NULL,
    project_id      INTEGER REFERENCES projects (id),
    source_platform TEXT NOT NULL DEFAULT '',
    project_name    TEXT NOT NULL DEFAULT '',
    reference_id    TEXT NOT NULL DEFAULT '',
    subject         TEXT NOT NULL,
    detail          TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_events_by_scan ON audit_events (reference_id);
CREATE INDEX audit_events_by_project ON audit_events (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX audit_events_by_actor ON audit_events (actor, id);

-- The configuration of the last start. Of secrets there are marks that only show whether they changed.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Rows that each process writes from time to time to find out whether it can.
CREATE TABLE write_trials (
    id     INTEGER PRIMARY KEY,
    at     TIMESTAMP NOT NULL,
    filler TEXT NOT NULL
);

-- +migrate Down
DROP TABLE write_trials;
DROP TABLE settings;
DROP TABLE audit_events;
DROP TABLE sessions;
DROP TABLE signed_projects;
DROP TABLE secret_usages;
DROP TABLE hook_targets;
DROP TABLE removed_scans;
DROP TABLE searched_contents;
DROP TABLE searched_commits;
DROP TABLE ref_doubts;
DROP TABLE refs;
DROP TABLE tracked_projects;
DROP TABLE status_holds;
DROP TABLE status_posts;
DROP TABLE commit_statuses;
DROP TABLE hook_calls;
DROP TABLE delivery_bodies;
DROP TABLE deliveries;
DROP TABLE epss_changes;
DROP TABLE epss_imports;
DROP TABLE epss_data;
DROP TABLE enrichment_tasks;
DROP TABLE pipeline_metrics;
DROP TABLE alert_decisions;
DROP TABLE triage_events;
DROP TABLE feedbacks;
DROP TABLE findings;
DROP TABLE project_days;
DROP TABLE open_alerts;
DROP TABLE alert_heads;
DROP TABLE alert_numbers;
DROP TABLE alerts;
DROP TABLE scan_jobs;
DROP TABLE outcomes;
DROP TABLE scans;
DROP TABLE former_names;
DROP TABLE projects;
