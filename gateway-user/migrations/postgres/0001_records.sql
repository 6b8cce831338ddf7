-- The session database, in PostgreSQL. The tables are those of SQLite; many hosts write to them.
--
-- Facts are only ever added: what ends a session or a call is a row of its own, never a change of the
-- row that began it. Triggers refuse UPDATE, DELETE and TRUNCATE, also to the owner and in a replica's apply.
--
-- Times are RFC 3339 in UTC with exactly six fractional digits (27 characters), so that the order of
-- the texts is the order of the times; hence the collation "C", which also makes comparisons the same in
-- every database. `seq` is the order of writing: of one host strictly, between hosts as their rows came.
-- Columns named actions, resources, params, rules, command, detail and truncated hold JSON as it was
-- written; `truncated` lists the columns that were cut.

-- What is no JSON fails in the cast.
CREATE FUNCTION is_json(document text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN document::json IS NOT NULL;

CREATE TABLE sessions (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text COLLATE "C" NOT NULL UNIQUE,
    started     text COLLATE "C" NOT NULL CHECK (length(started) = 27),
    workload    text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    issuer      text COLLATE "C" NOT NULL,
    hostname    text COLLATE "C" NOT NULL,
    boot_id     text COLLATE "C" NOT NULL,
    cgroup_path text COLLATE "C" NOT NULL,
    cgroup_id   bigint NOT NULL,
    command     text COLLATE "C" NOT NULL CHECK (is_json(command)),
    uid         bigint,
    truncated   text COLLATE "C" NOT NULL CHECK (is_json(truncated))
);

CREATE TABLE session_ends (
    seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session text COLLATE "C" NOT NULL UNIQUE REFERENCES sessions (id),
    ended   text COLLATE "C" NOT NULL CHECK (length(ended) = 27),
    reason  text COLLATE "C" NOT NULL
);

CREATE TABLE calls (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id             text COLLATE "C" NOT NULL UNIQUE,
    session        text COLLATE "C" NOT NULL REFERENCES sessions (id),
    time           text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    pid            bigint NOT NULL,
    uid            bigint NOT NULL,
    account        text COLLATE "C",
    region         text COLLATE "C",
    host           text COLLATE "C",
    service        text COLLATE "C",
    operation      text COLLATE "C",
    method         text COLLATE "C",
    actions        text COLLATE "C" NOT NULL CHECK (is_json(actions)),
    resources      text COLLATE "C" NOT NULL CHECK (is_json(resources)),
    params         text COLLATE "C" NOT NULL CHECK (is_json(params)),
    decision       text COLLATE "C" NOT NULL CHECK (decision IN ('allow', 'deny', 'ask', 'observed', 'refused')),
    rules          text COLLATE "C" NOT NULL CHECK (is_json(rules)),
    reason         text COLLATE "C",
    policy_digest  text COLLATE "C",
    access_key_id  text COLLATE "C",
    request_digest text COLLATE "C",
    truncated      text COLLATE "C" NOT NULL CHECK (is_json(truncated))
);

CREATE TABLE outcomes (
    seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call           text COLLATE "C" NOT NULL UNIQUE REFERENCES calls (id),
    ended          text COLLATE "C" NOT NULL CHECK (length(ended) = 27),
    outcome        text COLLATE "C" NOT NULL CHECK (outcome IN ('forwarded', 'denied', 'failed', 'aborted', 'unknown')),
    status         bigint,
    aws_request_id text COLLATE "C",
    error_code     text COLLATE "C",
    upstream_us    bigint,
    gateway_us     bigint,
    bytes_in       bigint,
    bytes_out      bigint,
    truncated      text COLLATE "C" NOT NULL CHECK (is_json(truncated))
);

CREATE TABLE events (
    seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time      text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    kind      text COLLATE "C" NOT NULL,
    session   text COLLATE "C",
    workload  text COLLATE "C",
    pid       bigint,
    uid       bigint,
    message   text COLLATE "C" NOT NULL,
    detail    text COLLATE "C" NOT NULL CHECK (is_json(detail)),
    truncated text COLLATE "C" NOT NULL CHECK (is_json(truncated)),
    -- The host whose daemon wrote it: not every event has a session.
    hostname  text COLLATE "C" NOT NULL DEFAULT current_setting('chaperone.host')
);

-- One row for each transaction: by it a retry knows that the commit whose answer was lost took place.
CREATE TABLE commits (
    id       text COLLATE "C" PRIMARY KEY,
    hostname text COLLATE "C" NOT NULL DEFAULT current_setting('chaperone.host')
);

CREATE INDEX sessions_by_start ON sessions (started, seq);
CREATE INDEX sessions_by_workload ON sessions (workload, started);
CREATE INDEX sessions_by_host ON sessions (hostname, seq);
CREATE INDEX session_ends_killed ON session_ends (seq) WHERE reason = 'killed';
CREATE INDEX calls_by_time ON calls (time, seq);
CREATE INDEX calls_by_session ON calls (session, time, seq);
CREATE INDEX calls_by_operation ON calls (service, operation, time);
CREATE INDEX calls_not_allowed ON calls (time, seq) WHERE decision <> 'allow' AND decision <> 'observed';
CREATE INDEX events_by_time ON events (time, seq);
CREATE INDEX events_of_starts ON events (hostname, seq) WHERE kind = 'record-opened';

-- Nothing is changed, nothing is removed.

CREATE FUNCTION records_stay() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'records are append-only' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER sessions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON sessions
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE sessions ENABLE ALWAYS TRIGGER sessions_stay;

CREATE TRIGGER session_ends_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON session_ends
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE session_ends ENABLE ALWAYS TRIGGER session_ends_stay;

CREATE TRIGGER calls_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON calls
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE calls ENABLE ALWAYS TRIGGER calls_stay;

CREATE TRIGGER outcomes_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON outcomes
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE outcomes ENABLE ALWAYS TRIGGER outcomes_stay;

CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_stay;

CREATE TRIGGER commits_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON commits
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE commits ENABLE ALWAYS TRIGGER commits_stay;

-- JSON is asked as in SQLite (<https://www.sqlite.org/json1.html>), so that a statement means the same in both.

-- The elements of a list, or the members of an object: key, value (texts without quotes) and type.
CREATE FUNCTION json_each(document text, OUT key text, OUT value text, OUT type text) RETURNS SETOF record
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT item.key, item.value #>> '{}',
        CASE json_typeof(item.value)
            WHEN 'string' THEN 'text'
            WHEN 'boolean' THEN item.value #>> '{}'
            WHEN 'number' THEN CASE WHEN item.value #>> '{}' ~ '[.eE]' THEN 'real' ELSE 'integer' END
            ELSE json_typeof(item.value)
        END
    FROM (
        SELECT (list.position - 1)::text AS key, list.value
        FROM json_array_elements(CASE json_typeof(document::json) WHEN 'array' THEN document::json ELSE '[]' END)
            WITH ORDINALITY AS list (value, position)
        UNION ALL
        SELECT member.key, member.value
        FROM pg_catalog.json_each(CASE json_typeof(document::json) WHEN 'object' THEN document::json ELSE '{}' END)
            AS member
    ) AS item
$$;

-- A member of an object, as text.
CREATE FUNCTION json_member(document text, name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN document::json ->> name;

CREATE OPERATOR ->> (LEFTARG = text, RIGHTARG = text, FUNCTION = json_member);

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
