-- What was hidden in answers: the place (`Parameters[3].Value`), why (the member of the API, `detector:` and its name, or
-- `shape`), and a keyed digest by which equal values are known without being known. `count` is how many values a row
-- stands for: where there were too many to name, the last has the rest, and no digest.

CREATE TABLE masked (
    seq       INTEGER PRIMARY KEY,
    call      TEXT NOT NULL REFERENCES calls (id),
    path      TEXT NOT NULL,
    cause     TEXT NOT NULL,
    digest    TEXT CHECK (length(digest) = 32),
    count     INTEGER NOT NULL CHECK (count > 0),
    truncated TEXT NOT NULL CHECK (json_valid(truncated))
) STRICT;

CREATE INDEX masked_by_call ON masked (call);
CREATE INDEX masked_by_digest ON masked (digest);

CREATE TRIGGER masked_keep BEFORE UPDATE ON masked
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER masked_stay BEFORE DELETE ON masked
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
CREATE TRIGGER masked_new BEFORE INSERT ON masked
WHEN EXISTS (SELECT 1 FROM masked WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;

-- Which calls were answered with secrets, which the agent did not get.
CREATE VIEW v_masked AS
SELECT m.seq AS seq, c.time AS time, c.id AS call, c.session AS session, s.workload AS workload, s.subject AS subject,
       s.issuer AS issuer, s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service,
       c.operation AS operation, c.resources AS resources, m.path AS path, m.cause AS cause, m.digest AS digest,
       m.count AS count, m.truncated AS truncated
FROM masked AS m JOIN calls AS c ON c.id = m.call JOIN sessions AS s ON s.id = c.session;
