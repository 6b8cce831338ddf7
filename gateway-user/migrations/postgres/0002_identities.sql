-- Who a session was known to be, and until when: one row when it was enrolled, one for each renewal of its
-- token. The token itself is not kept. `groups` and `claims` hold JSON.

CREATE TABLE identities (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session      text COLLATE "C" NOT NULL REFERENCES sessions (id),
    time         text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    issuer       text COLLATE "C" NOT NULL,
    subject      text COLLATE "C" NOT NULL,
    groups       text COLLATE "C" NOT NULL CHECK (is_json(groups)),
    token_groups text COLLATE "C" NOT NULL CHECK (is_json(token_groups)),
    claims       text COLLATE "C" NOT NULL CHECK (is_json(claims)),
    expires      text COLLATE "C" CHECK (length(expires) = 27),
    token_digest text COLLATE "C",
    truncated    text COLLATE "C" NOT NULL CHECK (is_json(truncated))
);

CREATE INDEX identities_by_session ON identities (session, seq);

CREATE TRIGGER identities_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON identities
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE identities ENABLE ALWAYS TRIGGER identities_stay;

-- With who the session is last known to be. Sessions of before this table have no groups.
DROP VIEW v_sessions;
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
    coalesce(i.groups, '[]') AS groups,
    coalesce(i.claims, '{}') AS claims,
    i.expires     AS token_expires,
    i.token_digest AS token_digest,
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
LEFT JOIN session_ends AS e ON e.session = s.id
LEFT JOIN identities AS i ON i.seq = (SELECT max(seq) FROM identities WHERE session = s.id);
