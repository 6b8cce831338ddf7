-- What people ask: who was behind a call in its groups, in which order calls ended, which secrets were read; and the
-- indexes by which listings stay quick in a big database.

DROP VIEW v_denied;
DROP VIEW v_calls;

-- A call with its session and its outcome. A call that has not ended is `open`, and has no `outcome_seq`. The groups are
-- those that the session had when the call was made.
CREATE VIEW v_calls AS
SELECT
    c.seq            AS seq,
    c.id             AS id,
    c.time           AS time,
    c.session        AS session,
    s.workload       AS workload,
    s.subject        AS subject,
    s.issuer         AS issuer,
    coalesce((SELECT i.groups FROM identities AS i WHERE i.session = c.session AND i.time <= c.time
              ORDER BY i.seq DESC LIMIT 1), '[]') AS groups,
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
    o.seq            AS outcome_seq,
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

-- Secrets in answers: what was hidden from the agent (`masked`), and what a rule let through (`revealed`).
CREATE VIEW v_secrets_read AS
SELECT c.time AS time, c.id AS call, c.session AS session, s.workload AS workload, s.subject AS subject,
       s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service, c.operation AS operation,
       c.resources AS resources, 'masked' AS how, m.path AS path, m.cause AS cause, m.digest AS digest,
       m.count AS count, c.rules AS rules
FROM masked AS m JOIN calls AS c ON c.id = m.call JOIN sessions AS s ON s.id = c.session
UNION ALL
SELECT e.time AS time, e.detail ->> 'call_id' AS call, e.session AS session, e.workload AS workload,
       s.subject AS subject, s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service,
       coalesce(c.operation, e.detail ->> 'operation') AS operation, coalesce(e.detail ->> 'resources', '[]') AS resources,
       'revealed' AS how, e.detail ->> 'field' AS path, 'rule' AS cause, NULL AS digest, 1 AS count,
       coalesce(e.detail ->> 'rules', '[]') AS rules
FROM events AS e LEFT JOIN sessions AS s ON s.id = e.session LEFT JOIN calls AS c ON c.id = e.detail ->> 'call_id'
WHERE e.kind = 'revealed';

CREATE INDEX sessions_by_subject ON sessions (subject, started);
CREATE INDEX calls_by_account ON calls (account, time);
CREATE INDEX calls_by_region ON calls (region, time);
CREATE INDEX calls_by_session_decision ON calls (session, decision);
CREATE INDEX calls_by_decision ON calls (decision, time);
-- Lists are indexed by their beginning: a value in an index has a largest length.
CREATE INDEX calls_by_actions ON calls (substr(actions, 1, 200), time);
CREATE INDEX calls_by_rules ON calls (substr(rules, 1, 200), time);
CREATE INDEX outcomes_by_request ON outcomes (aws_request_id) WHERE aws_request_id IS NOT NULL;
CREATE INDEX outcomes_by_status ON outcomes (status, call);
CREATE INDEX events_by_session ON events (session, time) WHERE session IS NOT NULL;
CREATE INDEX events_by_kind ON events (kind, time);
