-- The log: which row is which leaf of a Merkle tree (RFC 6962), in the order of writing, and what was signed of it. What a
-- row's leaf is made of is written down in docs/verify.md.

-- What the logs of this database are called: host name and a random part. Every host has one that goes on; another is begun
-- only where a person says so (`chaperone log restart`).
CREATE TABLE logs (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    origin   text COLLATE "C" NOT NULL UNIQUE,
    hostname text COLLATE "C" NOT NULL,
    created  text COLLATE "C" NOT NULL CHECK (length(created) = 27)
);

CREATE TABLE log (
    log_id     bigint NOT NULL REFERENCES logs (id),
    leaf_index bigint NOT NULL CHECK (leaf_index >= 0),
    table_name text COLLATE "C" NOT NULL,
    row_seq    bigint NOT NULL,
    leaf       bytea NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (log_id, leaf_index)
);

CREATE UNIQUE INDEX log_by_row ON log (table_name, row_seq);

-- Signed notes (C2SP tlog-checkpoint). They have no time: nothing would vouch for it.
CREATE TABLE checkpoints (
    log_id   bigint NOT NULL REFERENCES logs (id),
    size     bigint NOT NULL CHECK (size >= 0),
    frontier bytea NOT NULL CHECK (length(frontier) % 32 = 0),
    note     text COLLATE "C" NOT NULL,
    PRIMARY KEY (log_id, size)
);

-- What is left of rows that retention removed.
CREATE TABLE tombstones (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time       text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    table_name text COLLATE "C" NOT NULL,
    first_row  bigint NOT NULL,
    last_row   bigint NOT NULL CHECK (last_row >= first_row),
    row_count  bigint NOT NULL CHECK (row_count > 0),
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    actor      text COLLATE "C" NOT NULL,
    reason     text COLLATE "C" NOT NULL,
    note       text COLLATE "C" NOT NULL
);

CREATE INDEX tombstones_by_table ON tombstones (table_name, first_row);

-- What must not be removed, whatever its age: a session, a workload's sessions, or sessions that were open at some time
-- from `since` until before `until`; and the events of these.
CREATE TABLE holds (
    seq      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       text COLLATE "C" NOT NULL UNIQUE,
    time     text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    actor    text COLLATE "C" NOT NULL,
    reason   text COLLATE "C" NOT NULL,
    session  text COLLATE "C",
    workload text COLLATE "C",
    since    text COLLATE "C" CHECK (length(since) = 27),
    until    text COLLATE "C" CHECK (length(until) = 27),
    CHECK (num_nonnulls(session, workload, coalesce(since, until)) = 1)
);

CREATE TABLE hold_releases (
    seq    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hold   text COLLATE "C" NOT NULL UNIQUE REFERENCES holds (id),
    time   text COLLATE "C" NOT NULL CHECK (length(time) = 27),
    actor  text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL
);

-- The holds that are in force.
CREATE VIEW v_holds AS
SELECT h.seq AS seq, h.id AS id, h.time AS time, h.actor AS actor, h.reason AS reason, h.session AS session,
       h.workload AS workload, h.since AS since, h.until AS until
FROM holds AS h WHERE NOT EXISTS (SELECT 1 FROM hold_releases AS r WHERE r.hold = h.id);

-- Which session is held by which of them.
CREATE VIEW v_held_sessions AS
SELECT s.id AS session, h.id AS hold
FROM sessions AS s LEFT JOIN session_ends AS e ON e.session = s.id JOIN v_holds AS h
  ON h.session = s.id OR h.workload = s.workload
  OR ((h.since IS NOT NULL OR h.until IS NOT NULL)
      AND (h.until IS NULL OR s.started < h.until) AND (h.since IS NULL OR e.ended IS NULL OR e.ended >= h.since));

-- The log goes on without a gap. (That rows are logged in order is for `chaperone verify` to see.)
CREATE FUNCTION log_goes_on() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (
            SELECT log_id, min(leaf_index) AS first, max(leaf_index) AS last, count(*) AS count
            FROM added GROUP BY log_id
        ) AS run
        WHERE run.last - run.first + 1 <> run.count
           OR run.first > 0 AND NOT EXISTS (
               SELECT FROM log WHERE log.log_id = run.log_id AND log.leaf_index = run.first - 1
           )
    ) THEN
        RAISE EXCEPTION 'records are append-only: the log has no gaps' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER log_new AFTER INSERT ON log REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION log_goes_on();
ALTER TABLE log ENABLE ALWAYS TRIGGER log_new;

-- A row is removed only where a tombstone of the same log stands for it and no hold holds it.
CREATE FUNCTION records_pruned() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    of_session text;
    held boolean := false;
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM tombstones AS t
        JOIN log AS buried ON buried.table_name = TG_TABLE_NAME AND buried.row_seq = OLD.seq
        JOIN log AS stone ON stone.log_id = buried.log_id
            AND stone.table_name = 'tombstones' AND stone.row_seq = t.seq
        WHERE t.table_name = TG_TABLE_NAME AND OLD.seq BETWEEN t.first_row AND t.last_row
    ) THEN
        RAISE EXCEPTION 'records are append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    CASE TG_TABLE_NAME
        WHEN 'sessions' THEN of_session := OLD.id;
        WHEN 'session_ends', 'identities', 'calls' THEN of_session := OLD.session;
        WHEN 'outcomes', 'masked', 'call_bodies' THEN SELECT session INTO of_session FROM calls WHERE id = OLD.call;
        WHEN 'events' THEN
            of_session := OLD.session;
            held := EXISTS (
                SELECT FROM v_holds AS h WHERE h.workload = OLD.workload
                OR ((h.since IS NOT NULL OR h.until IS NOT NULL)
                    AND (h.until IS NULL OR OLD.time < h.until) AND (h.since IS NULL OR OLD.time >= h.since))
            );
        WHEN 'holds' THEN held := EXISTS (SELECT FROM v_holds AS h WHERE h.id = OLD.id);
        ELSE
    END CASE;
    IF held OR EXISTS (SELECT FROM v_held_sessions AS s WHERE s.session = of_session) THEN
        RAISE EXCEPTION 'records are append-only: a hold holds this row' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    -- Nothing of the log is changed or removed.
    FOREACH name IN ARRAY ARRAY['logs', 'log', 'checkpoints', 'tombstones'] LOOP
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION records_stay()', name || '_stay', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', name, name || '_stay');
    END LOOP;
    FOREACH name IN ARRAY ARRAY['sessions', 'session_ends', 'identities', 'calls', 'outcomes', 'masked', 'call_bodies', 'events',
                                'holds', 'hold_releases'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I', name || '_stay', name);
        EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION records_stay()', name || '_stay', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', name, name || '_stay');
        EXECUTE format('CREATE TRIGGER %I BEFORE DELETE ON %I
                        FOR EACH ROW EXECUTE FUNCTION records_pruned()', name || '_pruned', name);
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER %I', name, name || '_pruned');
    END LOOP;
END
$$;
