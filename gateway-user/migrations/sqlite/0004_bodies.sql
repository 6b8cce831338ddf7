-- The bodies of calls, as the gateway passed them on: masked, never as AWS or the agent wrote them.

-- Contents, each once: `digest` is the SHA-256 of what `content` (one zstd frame) holds, in hexadecimal, and `length` its
-- bytes.
CREATE TABLE bodies (
    digest  TEXT PRIMARY KEY CHECK (length(digest) = 64),
    length  INTEGER NOT NULL CHECK (length >= 0),
    content BLOB NOT NULL
) STRICT;

-- What belongs to which call: `request`, its parameters, where its row does not hold them all; `payload`, what it uploaded;
-- `response`, the answer that the agent got. `digest` and `length` are of all of it; `digest` is NULL where it would be that of
-- a secret. `kept` names its head in `bodies`: the same digest where all is kept, NULL where nothing is. `truncated` says why
-- something is missing.
CREATE TABLE call_bodies (
    seq        INTEGER PRIMARY KEY,
    call       TEXT NOT NULL REFERENCES calls (id),
    side       TEXT NOT NULL CHECK (side IN ('request', 'payload', 'response')),
    media_type TEXT,
    digest     TEXT CHECK (length(digest) = 64),
    length     INTEGER NOT NULL CHECK (length >= 0),
    kept       TEXT REFERENCES bodies (digest),
    truncated  TEXT NOT NULL CHECK (json_valid(truncated)),
    UNIQUE (call, side)
) STRICT;

CREATE INDEX call_bodies_by_digest ON call_bodies (digest);
CREATE INDEX call_bodies_by_content ON call_bodies (kept);

-- Nothing is changed, and what a call refers to is not removed.

CREATE TRIGGER bodies_keep BEFORE UPDATE ON bodies
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER bodies_stay BEFORE DELETE ON bodies
WHEN EXISTS (SELECT 1 FROM call_bodies WHERE kept = OLD.digest)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
-- What is there stays as it is, whoever brings it again.
CREATE TRIGGER bodies_new BEFORE INSERT ON bodies
WHEN EXISTS (SELECT 1 FROM bodies WHERE digest = NEW.digest)
BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER call_bodies_keep BEFORE UPDATE ON call_bodies
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER call_bodies_stay BEFORE DELETE ON call_bodies
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER call_bodies_new BEFORE INSERT ON call_bodies
WHEN EXISTS (SELECT 1 FROM call_bodies WHERE seq = NEW.seq OR (call = NEW.call AND side = NEW.side))
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- Whose bodies they are.
CREATE VIEW v_bodies AS
SELECT b.seq AS seq, c.time AS time, c.id AS call, c.session AS session, s.workload AS workload, s.subject AS subject,
       s.issuer AS issuer, s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service,
       c.operation AS operation, c.resources AS resources, b.side AS side, b.media_type AS media_type,
       b.digest AS digest, b.length AS length, b.kept AS kept, b.truncated AS truncated
FROM call_bodies AS b JOIN calls AS c ON c.id = b.call JOIN sessions AS s ON s.id = c.session;
