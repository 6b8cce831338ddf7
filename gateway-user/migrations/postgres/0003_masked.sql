-- What was hidden in answers: the place (`Parameters[3].Value`), why (the member of the API, `detector:` and its name, or
-- `shape`), and a keyed digest by which equal values are known without being known. `count` is how many values a row
-- stands for: where there were too many to name, the last has the rest, and no digest.

CREATE TABLE masked (
    seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call      text COLLATE "C" NOT NULL REFERENCES calls (id),
    path      text COLLATE "C" NOT NULL,
    cause     text COLLATE "C" NOT NULL,
    digest    text COLLATE "C" CHECK (length(digest) = 32),
    count     bigint NOT NULL CHECK (count > 0),
    truncated text COLLATE "C" NOT NULL CHECK (is_json(truncated))
);

CREATE INDEX masked_by_call ON masked (call);
CREATE INDEX masked_by_digest ON masked (digest);

CREATE TRIGGER masked_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON masked
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE masked ENABLE ALWAYS TRIGGER masked_stay;

-- Which calls were answered with secrets, which the agent did not get.
CREATE VIEW v_masked AS
SELECT m.seq AS seq, c.time AS time, c.id AS call, c.session AS session, s.workload AS workload, s.subject AS subject,
       s.issuer AS issuer, s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service,
       c.operation AS operation, c.resources AS resources, m.path AS path, m.cause AS cause, m.digest AS digest,
       m.count AS count, m.truncated AS truncated
FROM masked AS m JOIN calls AS c ON c.id = m.call JOIN sessions AS s ON s.id = c.session;
