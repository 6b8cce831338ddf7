-- The log: which row is which leaf of a Merkle tree (RFC 6962), in the order of writing, and what was signed of it. What a
-- row's leaf is made of is written down in docs/verify.md.

-- What the logs of this database are called: host name and a random part. One goes on; another is begun only where a
-- person says so (`chaperone log restart`).
CREATE TABLE logs (
    id       INTEGER PRIMARY KEY,
    origin   TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    created  TEXT NOT NULL CHECK (length(created) = 27)
) STRICT;

CREATE TABLE log (
    log_id     INTEGER NOT NULL REFERENCES logs (id),
    leaf_index INTEGER NOT NULL CHECK (leaf_index >= 0),
    table_name TEXT NOT NULL,
    row_seq    INTEGER NOT NULL,
    leaf       BLOB NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (log_id, leaf_index)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX log_by_row ON log (table_name, row_seq);

-- Signed notes (C2SP tlog-checkpoint). They have no time: nothing would vouch for it.
CREATE TABLE checkpoints (
    log_id   INTEGER NOT NULL REFERENCES logs (id),
    size     INTEGER NOT NULL CHECK (size >= 0),
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0),
    note     TEXT NOT NULL,
    PRIMARY KEY (log_id, size)
) STRICT, WITHOUT ROWID;

-- What is left of rows that retention removed.
CREATE TABLE tombstones (
    seq        INTEGER PRIMARY KEY,
    time       TEXT NOT NULL CHECK (length(time) = 27),
    table_name TEXT NOT NULL,
    first_row  INTEGER NOT NULL,
    last_row   INTEGER NOT NULL CHECK (last_row >= first_row),
    row_count  INTEGER NOT NULL CHECK (row_count > 0),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    note       TEXT NOT NULL
) STRICT;

CREATE INDEX tombstones_by_table ON tombstones (table_name, first_row);

-- What must not be removed, whatever its age: a session, a workload's sessions, or sessions that were open at some time
-- from `since` until before `until`; and the events of these.
CREATE TABLE holds (
    seq      INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    time     TEXT NOT NULL CHECK (length(time) = 27),
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    session  TEXT,
    workload TEXT,
    since    TEXT CHECK (length(since) = 27),
    until    TEXT CHECK (length(until) = 27),
    CHECK ((session IS NOT NULL) + (workload IS NOT NULL) + (since IS NOT NULL OR until IS NOT NULL) = 1)
) STRICT;

CREATE TABLE hold_releases (
    seq    INTEGER PRIMARY KEY,
    hold   TEXT NOT NULL UNIQUE REFERENCES holds (id),
    time   TEXT NOT NULL CHECK (length(time) = 27),
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

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

-- Nothing is changed; the log has no gap, and nothing of it is removed.

CREATE TRIGGER logs_keep BEFORE UPDATE ON logs
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER logs_stay BEFORE DELETE ON logs
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER logs_new BEFORE INSERT ON logs
WHEN EXISTS (SELECT 1 FROM logs WHERE id = NEW.id OR origin = NEW.origin)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER log_keep BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER log_stay BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER log_new BEFORE INSERT ON log
WHEN NEW.leaf_index <> (SELECT coalesce(max(leaf_index) + 1, 0) FROM log WHERE log_id = NEW.log_id)
  OR NEW.row_seq <= (SELECT max(row_seq) FROM log WHERE table_name = NEW.table_name)
BEGIN SELECT RAISE(ABORT, 'records are append-only: the log has no gaps, and rows are logged in order'); END;

CREATE TRIGGER checkpoints_keep BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER checkpoints_stay BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER checkpoints_new BEFORE INSERT ON checkpoints
WHEN NEW.size <= (SELECT max(size) FROM checkpoints WHERE log_id = NEW.log_id)
  OR NEW.size > (SELECT coalesce(max(leaf_index) + 1, 0) FROM log WHERE log_id = NEW.log_id)
BEGIN SELECT RAISE(ABORT, 'records are append-only: a checkpoint covers more than the one before, and no more than the log'); END;

CREATE TRIGGER tombstones_keep BEFORE UPDATE ON tombstones
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER tombstones_stay BEFORE DELETE ON tombstones
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER tombstones_new BEFORE INSERT ON tombstones
WHEN EXISTS (SELECT 1 FROM tombstones WHERE seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM tombstones WHERE table_name = NEW.table_name
             AND first_row <= NEW.last_row AND last_row >= NEW.first_row)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER holds_keep BEFORE UPDATE ON holds
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER holds_new BEFORE INSERT ON holds
WHEN EXISTS (SELECT 1 FROM holds WHERE seq = NEW.seq OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER hold_releases_keep BEFORE UPDATE ON hold_releases
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER hold_releases_new BEFORE INSERT ON hold_releases
WHEN EXISTS (SELECT 1 FROM hold_releases WHERE seq = NEW.seq OR hold = NEW.hold)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- Rows are removed only where a logged tombstone stands for them and no hold holds them.

DROP TRIGGER sessions_stay;
CREATE TRIGGER sessions_stay BEFORE DELETE ON sessions
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'sessions' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.id)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER session_ends_stay;
CREATE TRIGGER session_ends_stay BEFORE DELETE ON session_ends
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'session_ends' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER identities_stay;
CREATE TRIGGER identities_stay BEFORE DELETE ON identities
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'identities' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER calls_stay;
CREATE TRIGGER calls_stay BEFORE DELETE ON calls
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'calls' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER outcomes_stay;
CREATE TRIGGER outcomes_stay BEFORE DELETE ON outcomes
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'outcomes' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER masked_stay;
CREATE TRIGGER masked_stay BEFORE DELETE ON masked
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'masked' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER call_bodies_stay;
CREATE TRIGGER call_bodies_stay BEFORE DELETE ON call_bodies
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'call_bodies' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = (SELECT session FROM calls WHERE id = OLD.call))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

DROP TRIGGER events_stay;
CREATE TRIGGER events_stay BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'events' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_held_sessions WHERE session = OLD.session)
  OR EXISTS (SELECT 1 FROM v_holds WHERE workload = OLD.workload
             OR ((since IS NOT NULL OR until IS NOT NULL)
                 AND (until IS NULL OR OLD.time < until) AND (since IS NULL OR OLD.time >= since)))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER holds_stay BEFORE DELETE ON holds
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'holds' AND OLD.seq BETWEEN t.first_row AND t.last_row)
  OR EXISTS (SELECT 1 FROM v_holds WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

CREATE TRIGGER hold_releases_stay BEFORE DELETE ON hold_releases
WHEN NOT EXISTS (SELECT 1 FROM tombstones AS t JOIN log AS l ON l.table_name = 'tombstones' AND l.row_seq = t.seq
                 WHERE t.table_name = 'hold_releases' AND OLD.seq BETWEEN t.first_row AND t.last_row)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

