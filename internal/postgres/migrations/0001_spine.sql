-- +goose Up
-- The spine (internal/events), leases and idempotency keys (internal/postgres).

-- epoch names the cluster a transaction id belongs to: restore and dump/restore upgrades add 1.
CREATE TABLE spine (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch int     NOT NULL DEFAULT 1 CHECK (epoch > 0)
);
INSERT INTO spine DEFAULT VALUES;

-- +goose StatementBegin
CREATE FUNCTION spine_epoch() RETURNS int LANGUAGE sql STABLE AS 'SELECT epoch FROM spine';
-- +goose StatementEnd

CREATE SEQUENCE event_id_seq;
CREATE TABLE event (
    epoch           int         NOT NULL DEFAULT spine_epoch(),
    xid             xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id              bigint      NOT NULL DEFAULT nextval('event_id_seq'),
    at              timestamptz NOT NULL DEFAULT now(),
    kind            text        NOT NULL,
    actor_kind      text        NOT NULL CHECK (actor_kind IN ('system', 'agent', 'contact', 'token')),
    actor_id        bigint,
    subject_kind    text        NOT NULL,
    subject_id      text        NOT NULL,
    conversation_id bigint,
    team_id         bigint,
    assignee_id     bigint,
    team_before     bigint,
    assignee_before bigint,
    -- json, not jsonb: it is written and read as a whole, and every change of everything pays for it
    payload         json        NOT NULL CHECK (pg_column_size(payload) <= 16384)
) PARTITION BY RANGE (at);
-- the order of the spine; one index only, for every change of everything writes a row here
CREATE INDEX event_order ON event (epoch, xid, id);

CREATE TABLE follower (
    name  text   PRIMARY KEY,
    epoch int    NOT NULL DEFAULT 0,
    xid   xid8   NOT NULL DEFAULT '0',
    id    bigint NOT NULL DEFAULT 0,
    at    timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE follower_dead (
    follower text        NOT NULL,
    epoch    int         NOT NULL,
    xid      xid8        NOT NULL,
    id       bigint      NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    error    text        NOT NULL,
    event    jsonb       NOT NULL,
    PRIMARY KEY (follower, epoch, xid, id)
);

CREATE TABLE audit (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    kind         text        NOT NULL,
    actor_kind   text        NOT NULL,
    actor_id     bigint,
    subject_kind text        NOT NULL,
    subject_id   text        NOT NULL,
    detail       jsonb       NOT NULL DEFAULT '{}',
    epoch        int         NOT NULL,
    xid          xid8        NOT NULL,
    event_id     bigint      NOT NULL,
    UNIQUE (epoch, xid, event_id)
);
CREATE INDEX audit_at ON audit (at DESC, id DESC);
CREATE INDEX audit_subject ON audit (subject_kind, subject_id, id DESC);
-- +goose StatementBegin
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

CREATE TABLE lease (
    name       text        PRIMARY KEY,
    node       text        NOT NULL,
    epoch      bigint      NOT NULL DEFAULT 1,
    expires_at timestamptz NOT NULL
);

CREATE TABLE idempotency (
    agent_id     bigint      NOT NULL,
    key          text        NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    route        text        NOT NULL,
    request_hash bytea       NOT NULL,
    status       int,
    body         bytea,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, key)
);
CREATE INDEX idempotency_at ON idempotency (at);
