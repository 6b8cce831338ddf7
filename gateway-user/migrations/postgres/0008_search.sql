-- Finding calls by a text, by their service and by how they ended, in a big database.

-- No list is of one operation of a service alone.
DROP INDEX calls_by_operation;
CREATE INDEX calls_by_service ON calls (service, time, seq);

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

-- A search for a text has an index where the server has the extension pg_trgm and lets the owner of this database use it. Without
-- it, texts are found all the same, by looking at every call. The list of what waits for the index is short, so that whoever
-- finds it full does not wait long.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX calls_by_text ON calls USING gin ((coalesce(operation, '') || ' ' || resources || ' ' || params || ' '
        || rules || ' ' || coalesce(reason, '')) gin_trgm_ops) WITH (gin_pending_list_limit = 256);
    CREATE INDEX outcomes_by_text ON outcomes USING gin ((coalesce(error_code, '') || ' ' || coalesce(aws_request_id, ''))
        gin_trgm_ops) WITH (gin_pending_list_limit = 256);
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'without the extension pg_trgm, a search for a text looks at every call: %', SQLERRM;
END
$$;
