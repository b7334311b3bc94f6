-- +goose Up
-- inbox: what can be found in messages, apart from the messages themselves, so that writing one costs what it did. A
-- follower of the spine fills it a moment after the commit.
CREATE TABLE message_search (
    at              timestamptz NOT NULL,
    message_id      uuid        NOT NULL,
    conversation_id bigint      NOT NULL,
    -- words as search_words.go folds them, with their places, and marks that no text can hold: has:photo, by:i17
    words           tsvector    NOT NULL,
    -- names of files, folded, one to a line
    files           text        NOT NULL DEFAULT '',
    PRIMARY KEY (at, message_id)
) PARTITION BY RANGE (at);
-- a short pending list: the follower merges it in bulk, and a search reads it from end to end
CREATE INDEX message_search_words ON message_search USING gin (words) WITH (gin_pending_list_limit = 512);
CREATE INDEX message_search_files ON message_search USING gin (files gin_trgm_ops) WHERE files <> '';
CREATE INDEX message_search_with_file ON message_search (at DESC, message_id DESC) WHERE files <> '';

-- the same months as the messages have
-- +goose StatementBegin
DO $$
DECLARE
    p record;
BEGIN
    FOR p IN SELECT replace(c.relname, 'message', 'message_search') AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
             FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'message'::regclass LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF message_search %s', p.name, p.bound);
    END LOOP;
END $$;
-- +goose StatementEnd

-- how far the messages that were there before have been put in, from the newest down
CREATE TABLE search_fill (
    one        boolean     PRIMARY KEY DEFAULT true CHECK (one),
    at         timestamptz NOT NULL DEFAULT '9999-01-01 00:00:00+00',
    message_id uuid        NOT NULL DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    done_at    timestamptz
);
INSERT INTO search_fill DEFAULT VALUES;
