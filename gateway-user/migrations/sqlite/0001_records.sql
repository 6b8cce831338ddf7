-- The session database.
--
-- Facts are only ever added: what ends a session or a call is a row of its own, never a change of the
-- row that began it. Triggers refuse UPDATE and DELETE, and INSERT OR REPLACE, which would be both.
--
-- Times are RFC 3339 in UTC with exactly six fractional digits (27 characters), so that the order of
-- the texts is the order of the times. `seq` is the order of writing. Columns named actions, resources,
-- params, rules, command, detail and truncated hold JSON; `truncated` lists the columns that were cut.

CREATE TABLE sessions (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    started     TEXT NOT NULL CHECK (length(started) = 27),
    workload    TEXT NOT NULL,
    subject     TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    hostname    TEXT NOT NULL,
    boot_id     TEXT NOT NULL,
    cgroup_path TEXT NOT NULL,
    cgroup_id   INTEGER NOT NULL,
    command     TEXT NOT NULL CHECK (json_valid(command)),
    uid         INTEGER,
    truncated   TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

CREATE TABLE session_ends (
    seq     INTEGER PRIMARY KEY,
    session TEXT NOT NULL UNIQUE REFERENCES sessions (id),
    ended   TEXT NOT NULL CHECK (length(ended) = 27),
    reason  TEXT NOT NULL
) STRICT;

CREATE TABLE calls (
    seq            INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    session        TEXT NOT NULL REFERENCES sessions (id),
    time           TEXT NOT NULL CHECK (length(time) = 27),
    pid            INTEGER NOT NULL,
    uid            INTEGER NOT NULL,
    account        TEXT,
    region         TEXT,
    host           TEXT,
    service        TEXT,
    operation      TEXT,
    method         TEXT,
    actions        TEXT NOT NULL CHECK (json_valid(actions)),
    resources      TEXT NOT NULL CHECK (json_valid(resources)),
    params         TEXT NOT NULL CHECK (json_valid(params)),
    decision       TEXT NOT NULL CHECK (decision IN ('allow', 'deny', 'ask', 'observed', 'refused')),
    rules          TEXT NOT NULL CHECK (json_valid(rules)),
    reason         TEXT,
    policy_digest  TEXT,
    access_key_id  TEXT,
    request_digest TEXT,
    truncated      TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

CREATE TABLE outcomes (
    seq            INTEGER PRIMARY KEY,
    call           TEXT NOT NULL UNIQUE REFERENCES calls (id),
    ended          TEXT NOT NULL CHECK (length(ended) = 27),
    outcome        TEXT NOT NULL CHECK (outcome IN ('forwarded', 'denied', 'failed', 'aborted', 'unknown')),
    status         INTEGER,
    aws_request_id TEXT,
    error_code     TEXT,
    upstream_us    INTEGER,
    gateway_us     INTEGER,
    bytes_in       INTEGER,
    bytes_out      INTEGER,
    truncated      TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

-- No foreign key: what happened must not be lost because its session is not known.
CREATE TABLE events (
    seq       INTEGER PRIMARY KEY,
    time      TEXT NOT NULL CHECK (length(time) = 27),
    kind      TEXT NOT NULL,
    session   TEXT,
    workload  TEXT,
    pid       INTEGER,
    uid       INTEGER,
    message   TEXT NOT NULL,
    detail    TEXT NOT NULL CHECK (json_valid(detail)),
    truncated TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

CREATE INDEX sessions_by_start ON sessions (started);
CREATE INDEX sessions_by_workload ON sessions (workload, started);
CREATE INDEX calls_by_time ON calls (time);
CREATE INDEX calls_by_session ON calls (session, time);
CREATE INDEX calls_by_operation ON calls (service, operation, time);
CREATE INDEX calls_not_allowed ON calls (time) WHERE decision <> 'allow' AND decision <> 'observed';
CREATE INDEX events_by_time ON events (time);

-- Nothing is changed, nothing is removed.

CREATE TRIGGER sessions_keep BEFORE UPDATE ON sessions
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER sessions_stay BEFORE DELETE ON sessions
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER sessions_new BEFORE INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM sessions WHERE id = NEW.id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER session_ends_keep BEFORE UPDATE ON session_ends
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER session_ends_stay BEFORE DELETE ON session_ends
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER session_ends_new BEFORE INSERT ON session_ends
WHEN EXISTS (SELECT 1 FROM session_ends WHERE session = NEW.session OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER calls_keep BEFORE UPDATE ON calls
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER calls_stay BEFORE DELETE ON calls
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER calls_new BEFORE INSERT ON calls
WHEN EXISTS (SELECT 1 FROM calls WHERE id = NEW.id OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER outcomes_keep BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER outcomes_stay BEFORE DELETE ON outcomes
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER outcomes_new BEFORE INSERT ON outcomes
WHEN EXISTS (SELECT 1 FROM outcomes WHERE call = NEW.call OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER events_keep BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER events_new BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- The read models: documented in docs/queries.md, stable for people and tools.

-- A call with its session and its outcome. A call that has not ended is `open`.
CREATE VIEW v_calls AS
SELECT
    c.seq            AS seq,
    c.id             AS id,
    c.time           AS time,
    c.session        AS session,
    s.workload       AS workload,
    s.subject        AS subject,
    s.issuer         AS issuer,
    s.hostname       AS hostname,
    c.pid            AS pid,
    c.uid            AS uid,
    c.account        AS account,
    c.region         AS region,
    c.host           AS host,
    c.service        AS service,
    c.operation      AS operation,
    c.method         AS method,
    c.actions        AS actions,
    c.resources      AS resources,
    c.params         AS params,
    c.decision       AS decision,
    c.rules          AS rules,
    c.reason         AS reason,
    c.policy_digest  AS policy_digest,
    c.access_key_id  AS access_key_id,
    c.request_digest AS request_digest,
    coalesce(o.outcome, 'open') AS outcome,
    o.ended          AS ended,
    o.status         AS status,
    o.aws_request_id AS aws_request_id,
    o.error_code     AS error_code,
    o.upstream_us    AS upstream_us,
    o.gateway_us     AS gateway_us,
    o.bytes_in       AS bytes_in,
    o.bytes_out      AS bytes_out,
    c.truncated      AS truncated,
    coalesce(o.truncated, '[]') AS outcome_truncated
FROM calls AS c
JOIN sessions AS s ON s.id = c.session
LEFT JOIN outcomes AS o ON o.call = c.id;

-- Calls that were not made: denied by policy (`deny`), waiting for an approval that nobody can give yet
-- (`ask`), or not understood (`refused`). What was only observed was made.
CREATE VIEW v_denied AS
SELECT * FROM v_calls WHERE decision <> 'allow' AND decision <> 'observed';

-- A session with its end, where it has ended, and how many calls it made.
CREATE VIEW v_sessions AS
SELECT
    s.seq         AS seq,
    s.id          AS id,
    s.started     AS started,
    e.ended       AS ended,
    e.reason      AS end_reason,
    s.workload    AS workload,
    s.subject     AS subject,
    s.issuer      AS issuer,
    s.hostname    AS hostname,
    s.boot_id     AS boot_id,
    s.cgroup_path AS cgroup_path,
    s.cgroup_id   AS cgroup_id,
    s.command     AS command,
    s.uid         AS uid,
    (SELECT count(*) FROM calls AS c WHERE c.session = s.id) AS calls,
    (SELECT count(*) FROM calls AS c WHERE c.session = s.id AND c.decision <> 'allow'
       AND c.decision <> 'observed') AS denied,
    s.truncated   AS truncated
FROM sessions AS s
LEFT JOIN session_ends AS e ON e.session = s.id;
