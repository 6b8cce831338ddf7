-- Who a session was known to be, and until when: one row when it was enrolled, one for each renewal of its
-- token. The token itself is not kept. `groups` and `claims` hold JSON.

CREATE TABLE identities (
    seq          INTEGER PRIMARY KEY,
    session      TEXT NOT NULL REFERENCES sessions (id),
    time         TEXT NOT NULL CHECK (length(time) = 27),
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    groups       TEXT NOT NULL CHECK (json_valid(groups)),
    token_groups TEXT NOT NULL CHECK (json_valid(token_groups)),
    claims       TEXT NOT NULL CHECK (json_valid(claims)),
    expires      TEXT CHECK (length(expires) = 27),
    token_digest TEXT,
    truncated    TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

CREATE INDEX identities_by_session ON identities (session, seq);

CREATE TRIGGER identities_keep BEFORE UPDATE ON identities
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER identities_stay BEFORE DELETE ON identities
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER identities_new BEFORE INSERT ON identities
WHEN EXISTS (SELECT 1 FROM identities WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

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
