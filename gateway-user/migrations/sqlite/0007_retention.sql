-- Retention: a tombstone can stand for rows that are not next to each other, and rows are removed in steps that cost the same
-- whatever was removed before.

-- Which rows from `first_row` to `last_row` it stands for: a list of pairs, [first, last]; NULL where it is all of them.
-- Sessions take turns in a table: without this, there would be as many tombstones as rows.
ALTER TABLE tombstones ADD COLUMN spans TEXT CHECK (spans IS NULL OR json_valid(spans));

DROP INDEX tombstones_by_table;
CREATE INDEX tombstones_by_table ON tombstones (table_name, seq);

-- That no row has two tombstones is for `chaperone verify` to see.
DROP TRIGGER tombstones_new;
CREATE TRIGGER tombstones_new BEFORE INSERT ON tombstones
WHEN EXISTS (SELECT 1 FROM tombstones WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- Rows are removed only where the newest tombstone of their table stands for them, is logged, and no hold holds them. (When a
-- session's own row goes, its end is gone already: whether the session was held by its time was asked then.)

DROP TRIGGER sessions_stay;
CREATE TRIGGER sessions_stay BEFORE DELETE ON sessions
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'sessions')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_holds WHERE session = OLD.id OR workload = OLD.workload
             OR ((since IS NOT NULL OR until IS NOT NULL)
                 AND (until IS NULL OR OLD.started < until) AND (since IS NULL OR OLD.started >= since)))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER session_ends_stay;
CREATE TRIGGER session_ends_stay BEFORE DELETE ON session_ends
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'session_ends')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER identities_stay;
CREATE TRIGGER identities_stay BEFORE DELETE ON identities
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'identities')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER calls_stay;
CREATE TRIGGER calls_stay BEFORE DELETE ON calls
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'calls')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER outcomes_stay;
CREATE TRIGGER outcomes_stay BEFORE DELETE ON outcomes
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'outcomes')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER masked_stay;
CREATE TRIGGER masked_stay BEFORE DELETE ON masked
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'masked')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER call_bodies_stay;
CREATE TRIGGER call_bodies_stay BEFORE DELETE ON call_bodies
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'call_bodies')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER events_stay;
CREATE TRIGGER events_stay BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'events')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
  OR EXISTS (SELECT 1 FROM v_holds WHERE session = OLD.session OR workload = OLD.workload
             OR ((since IS NOT NULL OR until IS NOT NULL)
                 AND (until IS NULL OR OLD.time < until) AND (since IS NULL OR OLD.time >= since)))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER holds_stay;
CREATE TRIGGER holds_stay BEFORE DELETE ON holds
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'holds')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
  OR EXISTS (SELECT 1 FROM v_holds WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER hold_releases_stay;
CREATE TRIGGER hold_releases_stay BEFORE DELETE ON hold_releases
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.seq = (SELECT max(seq) FROM tombstones WHERE table_name = 'hold_releases')
                   AND OLD.seq BETWEEN t.first_row AND t.last_row
                   AND (t.spans IS NULL OR EXISTS (SELECT 1 FROM json_each(t.spans) AS s
                                                   WHERE OLD.seq BETWEEN s.value ->> 0 AND s.value ->> 1)))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
