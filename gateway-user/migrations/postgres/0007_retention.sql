-- Retention: a tombstone can stand for rows that are not next to each other, and rows are removed in steps that cost the same
-- whatever was removed before.

-- Which rows from `first_row` to `last_row` it stands for: a list of pairs, [first, last]; NULL where it is all of them.
-- Sessions take turns in a table: without this, there would be as many tombstones as rows.
ALTER TABLE tombstones ADD COLUMN spans text COLLATE "C" CHECK (spans IS NULL OR is_json(spans));

DROP INDEX tombstones_by_table;
CREATE INDEX tombstones_by_table ON tombstones (table_name, seq);

-- A row is removed only where the newest tombstone of its table and log stands for it, and no hold holds it. (When a
-- session's own row goes, its end is gone already: whether the session was held by its time was asked then.)
CREATE OR REPLACE FUNCTION records_pruned() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    of_session text;
    of_workload text;
    at_time text;
    held boolean := false;
    of_log bigint;
    its_log bigint;
    above bigint := 9223372036854775807;
    stone record;
BEGIN
    -- One look-up of an index each, whatever the planner knows of these tables.
    SELECT log_id INTO of_log FROM log WHERE table_name = TG_TABLE_NAME AND row_seq = OLD.seq;
    LOOP
        SELECT t.seq, t.first_row, t.last_row, t.spans INTO stone
        FROM tombstones AS t WHERE t.table_name = TG_TABLE_NAME AND t.seq < above ORDER BY t.seq DESC LIMIT 1;
        EXIT WHEN stone.seq IS NULL;
        SELECT log_id INTO its_log FROM log WHERE table_name = 'tombstones' AND row_seq = stone.seq;
        EXIT WHEN its_log = of_log;
        above := stone.seq;
    END LOOP;
    IF stone.seq IS NULL OR OLD.seq NOT BETWEEN stone.first_row AND stone.last_row
        OR stone.spans IS NOT NULL AND NOT EXISTS (
            SELECT FROM json_array_elements(stone.spans::json) AS s
            WHERE OLD.seq BETWEEN (s.value ->> 0)::bigint AND (s.value ->> 1)::bigint
        )
    THEN
        RAISE EXCEPTION 'records are append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    CASE TG_TABLE_NAME
        WHEN 'sessions' THEN of_session := OLD.id; of_workload := OLD.workload; at_time := OLD.started;
        WHEN 'session_ends', 'identities', 'calls' THEN of_session := OLD.session;
        WHEN 'outcomes', 'masked', 'call_bodies' THEN SELECT session INTO of_session FROM calls WHERE id = OLD.call;
        WHEN 'events' THEN of_session := OLD.session; of_workload := OLD.workload; at_time := OLD.time;
        WHEN 'holds' THEN held := EXISTS (SELECT FROM v_holds AS h WHERE h.id = OLD.id);
        ELSE
    END CASE;
    IF at_time IS NOT NULL THEN
        held := EXISTS (
            SELECT FROM v_holds AS h WHERE h.session = of_session OR h.workload = of_workload
            OR ((h.since IS NOT NULL OR h.until IS NOT NULL)
                AND (h.until IS NULL OR at_time < h.until) AND (h.since IS NULL OR at_time >= h.since))
        );
    END IF;
    IF held OR TG_TABLE_NAME <> 'sessions' AND EXISTS (SELECT FROM v_held_sessions AS s WHERE s.session = of_session) THEN
        RAISE EXCEPTION 'records are append-only: a hold holds this row' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;

-- Each host keeps the contents that its own calls refer to, and removes its own copies: what another is about to refer to, that
-- one has brought.
CREATE FUNCTION content_needed(content text, host text) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (
    SELECT FROM call_bodies AS b
    WHERE b.kept = content AND host = (
        SELECT o.hostname FROM logs AS o
        WHERE o.id = (SELECT l.log_id FROM log AS l WHERE l.table_name = 'call_bodies' AND l.row_seq = b.seq)
    )
);

CREATE OR REPLACE FUNCTION bodies_referred() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF content_needed(OLD.digest, OLD.hostname) THEN
        RAISE EXCEPTION 'records are append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;

-- Who places a hold waits for removals that are under way ("chapehol" as a number: each holds the lock, shared, until it has
-- committed), and those after it see the hold.
CREATE FUNCTION holds_wait() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7163082342698348396);
    RETURN NULL;
END
$$;
CREATE TRIGGER holds_wait BEFORE INSERT ON holds
FOR EACH STATEMENT EXECUTE FUNCTION holds_wait();
ALTER TABLE holds ENABLE ALWAYS TRIGGER holds_wait;

-- Who releases one, too: what a removal rests on is read in several questions.
CREATE TRIGGER holds_wait BEFORE INSERT ON hold_releases
FOR EACH STATEMENT EXECUTE FUNCTION holds_wait();
ALTER TABLE hold_releases ENABLE ALWAYS TRIGGER holds_wait;
