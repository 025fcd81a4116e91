-- +migrate Up
-- Buttons of check runs that people have pressed. digest is of the call's content: it stays for a while, because the key of a call is not
-- signed, and who has the call could send it once more under another one.
CREATE TABLE check_actions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id      INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    source_platform TEXT NOT NULL,
    commit_sha      TEXT NOT NULL,
    check_id        INTEGER NOT NULL, -- 0 where all check runs of the commit are meant
    button          TEXT NOT NULL,
    login           TEXT NOT NULL,
    user_id         INTEGER NOT NULL,
    digest          TEXT NOT NULL UNIQUE,
    attempts        INTEGER NOT NULL DEFAULT 0,
    requested_at    TIMESTAMP NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_until     TIMESTAMP,
    done_at         TIMESTAMP
);
CREATE INDEX check_actions_due ON check_actions (source_platform, next_attempt_at) WHERE done_at IS NULL;

-- +migrate Down
DROP TABLE check_actions;
