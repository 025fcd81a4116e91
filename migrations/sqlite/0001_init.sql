-- +migrate Up
CREATE TABLE scans (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    reference_id            TEXT NOT NULL UNIQUE,
    source_platform         TEXT NOT NULL,
    project_name            TEXT NOT NULL,
    project_ref             TEXT NOT NULL DEFAULT '',
    repo_url                TEXT NOT NULL DEFAULT '',
    branch                  TEXT NOT NULL DEFAULT '',
    default_branch          TEXT NOT NULL DEFAULT '',
    commit_sha              TEXT NOT NULL,
    before_sha              TEXT NOT NULL DEFAULT '',
    attempt                 INTEGER NOT NULL DEFAULT 1,
    context                 TEXT NOT NULL DEFAULT 'scanhook',
    origin                  TEXT NOT NULL DEFAULT 'push',
    timestamp               TIMESTAMP NOT NULL,
    status                  TEXT NOT NULL DEFAULT 'pending'
                            CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
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
    stale               BOOLEAN NOT NULL DEFAULT FALSE,
    deadline_at             TIMESTAMP NOT NULL,
    started_at              TIMESTAMP,
    finished_at             TIMESTAMP,
    UNIQUE (commit_sha, source_platform, project_name, attempt)
);
CREATE INDEX scans_by_branch ON scans (source_platform, project_name, branch, id);
-- Uploads and new branches have nothing or zeros there: without the condition they would make the statistics of the column useless.
CREATE INDEX scans_by_before ON scans (before_sha)
    WHERE before_sha > '0000000000000000000000000000000000000000000000000000000000000000';
CREATE INDEX scans_recovered ON scans (before_sha) WHERE origin = 'recover';
-- All scans of a project in their order: an expression, so that no question about a branch can be answered by it.
CREATE INDEX scans_by_project ON scans ((project_name || '@' || source_platform), id);
-- Uploads do not name the default branch. However many they are, the last scan that does is found at once.
CREATE INDEX scans_naming_default ON scans ((source_platform || '/' || project_name), id) WHERE default_branch <> '';
CREATE INDEX scans_by_merge_base ON scans (merge_base_sha) WHERE merge_base_sha <> '';
CREATE INDEX scans_by_baseline ON scans (baseline_scan_id) WHERE baseline_scan_id IS NOT NULL;
CREATE INDEX scans_open ON scans (deadline_at, source_platform, project_name, branch, status, id)
    WHERE status IN ('pending', 'processing');
-- An ended scan has one outcome: pass, fail or failed.
CREATE INDEX scans_ended ON scans (source_platform, (COALESCE(verdict, status)), id)
    WHERE status IN ('completed', 'failed');
CREATE INDEX scans_ended_by_branch ON scans (source_platform, branch, (COALESCE(verdict, status)), id)
    WHERE status IN ('completed', 'failed');
CREATE INDEX scans_ended_in_project ON scans (source_platform, project_name, (COALESCE(verdict, status)), id)
    WHERE status IN ('completed', 'failed');
CREATE INDEX scans_ended_in_project_by_branch ON scans (source_platform, project_name, branch, (COALESCE(verdict, status)), id)
    WHERE status IN ('completed', 'failed');

-- How each project's name is spelt in all tables: as it came first. The key is the name in lower case.
CREATE TABLE project_names (
    project_key     TEXT NOT NULL,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    PRIMARY KEY (project_key, source_platform)
);

CREATE TABLE scan_jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id      INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    scanner      TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'pending'
                 CHECK (state IN ('pending', 'running', 'completed', 'failed', 'superseded')),
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

-- job_id is a job of scan_id and is deleted with it. A constraint of its own would cost half of the time of an insert.
CREATE TABLE findings (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id           INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    job_id            INTEGER NOT NULL,
    tool              TEXT NOT NULL,
    rule_id           TEXT NOT NULL,
    file              TEXT NOT NULL,
    line              INTEGER NOT NULL,
    end_line          INTEGER NOT NULL DEFAULT 0,
    severity          TEXT NOT NULL CHECK (severity IN ('Critical', 'High', 'Medium', 'Low')),
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
    baseline_state    TEXT NOT NULL DEFAULT 'new' CHECK (baseline_state IN ('new', 'unchanged', 'absent')),
    suppressed        TEXT,
    triage_decision   TEXT CHECK (triage_decision IN ('TP', 'FP')),
    ai_verdict        TEXT,
    ai_confidence     REAL CHECK (ai_confidence BETWEEN 0 AND 1),
    ai_reasoning      TEXT,
    remediation_patch TEXT,
    red_team_success  BOOLEAN
);
CREATE INDEX findings_by_scan ON findings (scan_id, fingerprint);
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

CREATE TABLE triage_events (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    finding_id   INTEGER NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
    source       TEXT NOT NULL CHECK (source IN ('person', 'scanner', 'ai', 'carried')),
    origin       TEXT NOT NULL CHECK (origin IN ('person', 'scanner', 'ai', 'red_team')),
    propagated_from INTEGER,
    author       TEXT NOT NULL DEFAULT '',
    changes      TEXT NOT NULL,
    decision     TEXT CHECK (decision IN ('TP', 'FP')),
    comment      TEXT NOT NULL DEFAULT '',
    timestamp    TIMESTAMP NOT NULL
);
CREATE INDEX triage_events_by_finding ON triage_events (finding_id, id);

-- What was decided on a finding for all scans of its project, in the order of the decisions; it outlives the scans.
CREATE TABLE triage_decisions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    fingerprint     TEXT NOT NULL,
    source          TEXT NOT NULL CHECK (source IN ('person', 'scanner', 'ai', 'red_team')),
    decision        TEXT NOT NULL CHECK (decision IN ('TP', 'FP')),
    author          TEXT NOT NULL DEFAULT '',
    comment         TEXT NOT NULL DEFAULT '',
    finding_id      INTEGER NOT NULL,
    timestamp       TIMESTAMP NOT NULL,
    UNIQUE (source_platform, project_name, fingerprint, source)
);

-- The names under which the same project was scanned before.
CREATE TABLE former_names (
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    former_name     TEXT NOT NULL,
    PRIMARY KEY (source_platform, project_name, former_name)
);

CREATE TABLE pipeline_metrics (
    id                     INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id                INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    build_duration_seconds REAL,
    artifact_size_bytes    INTEGER,
    num_changed_files      INTEGER,
    source_platform        TEXT NOT NULL,
    project_name           TEXT NOT NULL,
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
    UNIQUE (source_platform, project_name, pipeline_id, pipeline_attempt)
);
CREATE INDEX pipeline_metrics_series
    ON pipeline_metrics (source_platform, project_name, pipeline_name, on_default_branch, finished_at, id)
    WHERE pipeline_status = 'success' AND finished_at IS NOT NULL;
CREATE INDEX pipeline_metrics_by_project ON pipeline_metrics (source_platform, project_name, id);

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

CREATE TABLE deliveries (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    platform     TEXT NOT NULL,
    delivery_key TEXT NOT NULL,
    event        TEXT NOT NULL,
    project_name TEXT NOT NULL DEFAULT '',
    outcome      TEXT NOT NULL,
    reason       TEXT NOT NULL DEFAULT '',
    scan_id      INTEGER REFERENCES scans (id) ON DELETE SET NULL,
    received_at  TIMESTAMP NOT NULL,
    verified_by  TEXT NOT NULL DEFAULT '',
    signed       BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE (platform, delivery_key, project_name)
);
CREATE INDEX deliveries_by_scan ON deliveries (scan_id);
CREATE INDEX deliveries_by_outcome ON deliveries (platform, outcome, id);
CREATE INDEX deliveries_in_project ON deliveries (platform, project_name, outcome, id);

-- The days on which each configured project's webhook has called; they outlive the deliveries.
CREATE TABLE hook_calls (
    platform        TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    last_at         TIMESTAMP NOT NULL,
    last_id         INTEGER NOT NULL,
    days            TEXT NOT NULL,
    missed_first_at TIMESTAMP,
    missed_last_at  TIMESTAMP,
    PRIMARY KEY (platform, project_name)
);

CREATE TABLE commit_statuses (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    scan_id         INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    project_ref     TEXT NOT NULL DEFAULT '',
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
    desired_at       TIMESTAMP NOT NULL,
    due_since       TIMESTAMP NOT NULL,
    posted_at       TIMESTAMP,
    left_out        TEXT NOT NULL DEFAULT '',
    posted_id       INTEGER NOT NULL DEFAULT 0,
    observed_id         INTEGER NOT NULL DEFAULT 0,
    restored_revision INTEGER NOT NULL DEFAULT 0,
    check_at        TIMESTAMP,
    UNIQUE (source_platform, project_name, commit_sha, context)
);
CREATE INDEX commit_statuses_due ON commit_statuses (source_platform, next_attempt_at, id)
    WHERE posted_revision < revision AND NOT given_up;
-- On an expression, so that no engine reads all of a project by its unique key instead.
CREATE INDEX commit_statuses_waiting ON commit_statuses ((source_platform || '/' || project_name), desired_at, id)
    WHERE posted_revision < revision AND NOT given_up;
CREATE INDEX commit_statuses_by_scan ON commit_statuses (scan_id);
CREATE INDEX commit_statuses_given_up ON commit_statuses (desired_at) WHERE given_up;
CREATE INDEX commit_statuses_to_check ON commit_statuses (source_platform, check_at) WHERE check_at IS NOT NULL;

-- Each attempt to post a status with the platform's answer, equal ones in one row, and what other programs posted in its place.
CREATE TABLE status_posts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    status_id   INTEGER NOT NULL REFERENCES commit_statuses (id) ON DELETE CASCADE,
    scan_id     INTEGER NOT NULL,
    context     TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    state       TEXT NOT NULL,
    description TEXT NOT NULL,
    outcome     TEXT NOT NULL CHECK (outcome IN ('posted', 'retry', 'waiting', 'given_up', 'overwritten')),
    code        INTEGER NOT NULL DEFAULT 0,
    answer      TEXT NOT NULL DEFAULT '',
    times       INTEGER NOT NULL DEFAULT 1,
    at          TIMESTAMP NOT NULL,
    last_at     TIMESTAMP NOT NULL,
    latency_ms     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX status_posts_by_status ON status_posts (status_id, id);

-- Projects, or branches of them, for which posting is paused because the token may not post.
CREATE TABLE status_holds (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    branch          TEXT NOT NULL DEFAULT '',
    code            INTEGER NOT NULL DEFAULT 0,
    reason          TEXT NOT NULL,
    since           TIMESTAMP NOT NULL,
    probes          INTEGER NOT NULL DEFAULT 1,
    next_probe_at   TIMESTAMP NOT NULL,
    UNIQUE (source_platform, project_name, branch)
);
CREATE INDEX status_holds_due ON status_holds (source_platform, next_probe_at);

-- Projects whose branches and tags are compared with the scans from time to time, to scan what no webhook announced.
CREATE TABLE tracked_projects (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    project_ref     TEXT NOT NULL DEFAULT '',
    synced_at       TIMESTAMP,
    next_sync_at    TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    failures        INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT NOT NULL DEFAULT '',
    UNIQUE (source_platform, project_name)
);
CREATE INDEX tracked_projects_due ON tracked_projects (next_sync_at);
CREATE INDEX tracked_projects_by_ref ON tracked_projects (source_platform, project_ref);

-- Where branches and tags stood at the last sync.
CREATE TABLE ref_heads (
    tracked_id INTEGER NOT NULL REFERENCES tracked_projects (id) ON DELETE CASCADE,
    ref        TEXT NOT NULL,
    sha        TEXT NOT NULL,
    seen_at    TIMESTAMP NOT NULL,
    PRIMARY KEY (tracked_id, ref)
);

-- Where webhooks can be configured, and their state. What a platform could not deliver is requested again.
CREATE TABLE hook_targets (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    source_platform TEXT NOT NULL,
    scope           TEXT NOT NULL CHECK (scope IN ('project', 'group', 'app')),
    owner           TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL DEFAULT '',
    note            TEXT NOT NULL DEFAULT '',
    arrived_until   TIMESTAMP,
    failures        INTEGER NOT NULL DEFAULT 0,
    checked_at      TIMESTAMP,
    next_check_at   TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    UNIQUE (source_platform, scope, owner)
);
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
    platform        TEXT NOT NULL,
    project_key     TEXT NOT NULL,
    project_name    TEXT NOT NULL,
    project_ref     TEXT NOT NULL DEFAULT '',
    first_signed_at TIMESTAMP NOT NULL,
    last_signed_at  TIMESTAMP NOT NULL,
    num_refused     INTEGER NOT NULL DEFAULT 0,
    last_refused_at TIMESTAMP,
    PRIMARY KEY (platform, project_key)
);
CREATE INDEX signed_projects_by_ref ON signed_projects (platform, project_ref);

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
    source_platform TEXT NOT NULL DEFAULT '',
    project_name    TEXT NOT NULL DEFAULT '',
    reference_id    TEXT NOT NULL DEFAULT '',
    subject         TEXT NOT NULL,
    detail          TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_events_by_scan ON audit_events (reference_id);
CREATE INDEX audit_events_by_project ON audit_events (project_name, id);
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
DROP TABLE ref_heads;
DROP TABLE tracked_projects;
DROP TABLE status_holds;
DROP TABLE status_posts;
DROP TABLE commit_statuses;
DROP TABLE hook_calls;
DROP TABLE deliveries;
DROP TABLE epss_changes;
DROP TABLE epss_imports;
DROP TABLE epss_data;
DROP TABLE enrichment_tasks;
DROP TABLE pipeline_metrics;
DROP TABLE former_names;
DROP TABLE triage_decisions;
DROP TABLE triage_events;
DROP TABLE feedbacks;
DROP TABLE findings;
DROP TABLE scan_jobs;
DROP TABLE project_names;
DROP TABLE scans;
