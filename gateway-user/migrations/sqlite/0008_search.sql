-- Finding calls by a text, by their service and by how they ended, in a big database.

-- No list is of one operation of a service alone.
DROP INDEX calls_by_operation;
CREATE INDEX calls_by_service ON calls (service, time);

-- Sessions are listed by what their calls were, too, and count those that were not allowed.
DROP INDEX calls_by_session_decision;
CREATE INDEX calls_by_session_service ON calls (session, service, decision);

-- Lists of actions and rules are looked up to find calls or sessions, never by time.
DROP INDEX calls_by_actions;
DROP INDEX calls_by_rules;
CREATE INDEX calls_by_actions ON calls (substr(actions, 1, 200), session);
CREATE INDEX calls_by_rules ON calls (substr(rules, 1, 200), session);

-- Nearly all calls are forwarded: no index finds these sooner than time does.
CREATE INDEX outcomes_by_outcome ON outcomes (outcome, call) WHERE outcome <> 'forwarded';

-- What a search for a text looks at, by the number of the outcome: calls become searchable when they have ended.
CREATE VIEW ended_texts AS
SELECT o.seq AS seq, coalesce(c.operation, '') || ' ' || c.resources || ' ' || c.params || ' ' || c.rules || ' '
           || coalesce(c.reason, '') || ' ' || coalesce(o.error_code, '') || ' ' || coalesce(o.aws_request_id, '') AS text
FROM outcomes AS o JOIN calls AS c ON c.id = o.call;

-- Which calls have a trigram, and nothing else (<https://www.sqlite.org/fts5.html#the_trigram_tokenizer>). The daemon adds
-- calls in the order of their outcomes while nothing else is to be written; what is behind the last is looked at one by one.
-- It is made of the rows, says nothing that they do not, and is no part of the log.
CREATE VIRTUAL TABLE call_texts USING fts5 (text, content = '', detail = 'none', tokenize = 'trigram');
-- What is removed is not left to be read in the index.
INSERT INTO call_texts (call_texts, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER outcomes_unsearchable BEFORE DELETE ON outcomes
WHEN EXISTS (SELECT 1 FROM call_texts_docsize WHERE id = OLD.seq)
BEGIN
    INSERT INTO call_texts (call_texts, rowid, text) SELECT 'delete', seq, text FROM ended_texts WHERE seq = OLD.seq;
END;
