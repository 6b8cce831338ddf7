-- The bodies of calls, as the gateway passed them on: masked, never as AWS or the agent wrote them.

-- Contents, each once for each host: `digest` is the SHA-256 of what `content` (one zstd frame) holds, in hexadecimal, and
-- `length` its bytes. Once for all hosts would make a host wait for the commit of another that brings the same.
CREATE TABLE bodies (
    digest   text COLLATE "C" NOT NULL CHECK (length(digest) = 64),
    length   bigint NOT NULL CHECK (length >= 0),
    content  bytea NOT NULL,
    hostname text COLLATE "C" NOT NULL DEFAULT current_setting('chaperone.host'),
    PRIMARY KEY (digest, hostname)
);
-- It is compressed already.
ALTER TABLE bodies ALTER content SET STORAGE EXTERNAL;

-- What belongs to which call: `request`, its parameters, where its row does not hold them all; `payload`, what it uploaded;
-- `response`, the answer that the agent got. `digest` and `length` are of all of it; `digest` is NULL where it would be that of
-- a secret. `kept` names its head in `bodies`: the same digest where all is kept, NULL where nothing is. `truncated` says why
-- something is missing.
CREATE TABLE call_bodies (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call       text COLLATE "C" NOT NULL REFERENCES calls (id),
    side       text COLLATE "C" NOT NULL CHECK (side IN ('request', 'payload', 'response')),
    media_type text COLLATE "C",
    digest     text COLLATE "C" CHECK (length(digest) = 64),
    length     bigint NOT NULL CHECK (length >= 0),
    kept       text COLLATE "C",
    truncated  text COLLATE "C" NOT NULL CHECK (is_json(truncated)),
    UNIQUE (call, side)
);

CREATE INDEX call_bodies_by_digest ON call_bodies (digest);
CREATE INDEX call_bodies_by_content ON call_bodies (kept);

-- Nothing is changed, and what a call refers to is not removed.

CREATE FUNCTION bodies_referred() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM call_bodies WHERE kept = OLD.digest) THEN
        RAISE EXCEPTION 'records are append-only' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER bodies_stay BEFORE UPDATE OR TRUNCATE ON bodies
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE bodies ENABLE ALWAYS TRIGGER bodies_stay;
CREATE TRIGGER bodies_referred BEFORE DELETE ON bodies
FOR EACH ROW EXECUTE FUNCTION bodies_referred();
ALTER TABLE bodies ENABLE ALWAYS TRIGGER bodies_referred;

-- What a row keeps is there. (No foreign key: which host's copy it is, the row does not say.)
CREATE FUNCTION bodies_are_there() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kept IS NOT NULL AND NOT EXISTS (SELECT FROM bodies WHERE digest = NEW.kept) THEN
        RAISE EXCEPTION 'the content % is not in bodies', NEW.kept USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER call_bodies_refer BEFORE INSERT ON call_bodies
FOR EACH ROW EXECUTE FUNCTION bodies_are_there();
ALTER TABLE call_bodies ENABLE ALWAYS TRIGGER call_bodies_refer;

CREATE TRIGGER call_bodies_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON call_bodies
FOR EACH STATEMENT EXECUTE FUNCTION records_stay();
ALTER TABLE call_bodies ENABLE ALWAYS TRIGGER call_bodies_stay;

-- Whose bodies they are.
CREATE VIEW v_bodies AS
SELECT b.seq AS seq, c.time AS time, c.id AS call, c.session AS session, s.workload AS workload, s.subject AS subject,
       s.issuer AS issuer, s.hostname AS hostname, c.account AS account, c.region AS region, c.service AS service,
       c.operation AS operation, c.resources AS resources, b.side AS side, b.media_type AS media_type,
       b.digest AS digest, b.length AS length, b.kept AS kept, b.truncated AS truncated
FROM call_bodies AS b JOIN calls AS c ON c.id = b.call JOIN sessions AS s ON s.id = c.session;
