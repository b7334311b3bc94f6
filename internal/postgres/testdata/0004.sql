-- An installation as it was at schema 4, with a row or more in every table. TestUpgradeFromEarlierSchemas brings it to
-- the newest schema. Never change it; the next release adds a file of its own.
UPDATE spine SET epoch = 3;
INSERT INTO event (kind, actor_kind, subject_kind, subject_id, payload)
VALUES ('conversation.updated', 'agent', 'conversation', '1', '{"id": "1", "version": 2}');
INSERT INTO follower (name, epoch, xid, id) VALUES ('audit', 3, '700', 1);
INSERT INTO follower_dead (follower, epoch, xid, id, error, event) VALUES ('audit', 2, '500', 9, 'could not', '{"kind": "x"}');
INSERT INTO audit (at, kind, actor_kind, actor_id, subject_kind, subject_id, detail, epoch, xid, event_id)
VALUES ('2026-10-01Z', 'session.created', 'agent', 1, 'agent', '1', '{"ip": "192.0.2.1"}', 3, '600', 1);
INSERT INTO lease (name, node, epoch, expires_at) VALUES ('channel:1', 'node-a', 12, '2026-10-01Z');
INSERT INTO idempotency (agent_id, key, route, request_hash, status, body) VALUES (1, 'k', 'POST /api/contacts', '\x01', 201, '{}');

INSERT INTO hours (id, name, timezone, week, holidays)
VALUES (1, 'Office', 'Africa/Addis_Ababa', '[{"day": 1, "from": "09:00", "to": "18:00"}]', '{2026-12-25}');
INSERT INTO agent (id, version, email, name, role, scope, locale, theme, capacity, hours_id, password_hash, disabled_at) VALUES
    (1, 3, 'admin@example.org', 'Ада', 'admin', 'all', 'ru', 'dark', 20, 1, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA', NULL),
    (2, 1, 'agent@example.org', 'አበበ', 'agent', 'own', 'am', 'system', 0, NULL, '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA', '2026-10-02Z');
INSERT INTO agent_status (agent_id, status) VALUES (1, 'online');
INSERT INTO team (id, name, strategy, sticky, hours_id, auto_reply) VALUES (1, 'Sales', 'round_robin', false, 1, 'We are closed.');
INSERT INTO team_member (team_id, agent_id) VALUES (1, 1);
INSERT INTO absence (id, agent_id, from_at, to_at, reason) VALUES (1, 2, '2026-10-01Z', '2026-10-14Z', 'holiday');
INSERT INTO session (id, token_hash, agent_id, expires_at, ip, user_agent) VALUES (1, '\x0a', 1, '2026-12-01Z', '192.0.2.1', 'Firefox');
INSERT INTO api_token (id, agent_id, name, prefix, token_hash, scopes) VALUES (1, 1, 'crm', 'par_abc', '\x0b', '{read,write}');
INSERT INTO invitation (id, token_hash, email, role, scope, team_ids, invited_by, expires_at)
VALUES (1, '\x0c', 'new@example.org', 'agent', 'team', '{1}', 1, '2026-12-01Z');
INSERT INTO login_attempt (key, fails) VALUES ('ip:192.0.2.1', 2);
INSERT INTO setting (key, value) VALUES ('workspace_name', '"Shop"');

INSERT INTO contact (id, version, kind, name, name_source, owner_id, language, tags, fields, attribution) VALUES
    (1, 4, 'person', 'Sara Bekele', 'manual', 1, 'am', '{vip}', '{"city": "Addis"}', '{"utm_source": "ad"}'),
    (3, 1, 'group', 'Building 7', 'pushed', NULL, '', '{}', '{}', '{}');
INSERT INTO contact (id, name, merged_into) VALUES (2, 'Sara B.', 1);
INSERT INTO identity (id, kind, value, raw, contact_id, display, source, trust, shared) VALUES
    (1, 'telegram', '5001', '5001', 1, 'Sara', 'telegram', 'provider', false),
    (2, 'phone', '+251911000001', '0911 000 001', 1, '', 'manual', 'agent', true),
    (3, 'telegram', '-100700', '-100700', 3, 'Building 7', 'telegram', 'provider', false);
INSERT INTO pipeline (id, name) VALUES (2, 'Service');
INSERT INTO stage (id, pipeline_id, position, name, kind) VALUES (101, 2, 0, 'New', 'incoming'), (102, 2, 1, 'Done', 'won');
INSERT INTO lead (id, version, contact_id, pipeline_id, stage_id, title, owner_id, source, channel_id, outcome, closed_at) VALUES
    (1, 2, 1, 2, 102, 'Twelve chairs', 1, 'telegram', 1, 'won', '2026-10-03Z');
INSERT INTO lead (id, contact_id, pipeline_id, stage_id, source, previous_lead) VALUES (2, 1, 2, 101, 'telegram', 1);
INSERT INTO merge (id, batch, into_id, from_id, kind, actor_id) VALUES (2, 1, 1, 2, 'agent', 1);
INSERT INTO merge_move (merge_id, position, room, tbl, row_id, before) VALUES (2, 0, 'crm', 'identity', '2', '{"contact_id": 2}');

INSERT INTO channel (id, version, kind, name, team_id, pipeline_id, settings, secret, region, state, reason)
VALUES (1, 5, 'telegram', 'Shop bot', 1, 2, '{"mode": "poll"}', '\x0102', 'ET', 'up', '');
INSERT INTO channel_cursor (channel_id, name, value) VALUES (1, 'update_id', '100000123');
INSERT INTO quarantine (id, channel_id, event_key, raw, error) VALUES (1, 1, 'u:99', '\x7b', 'what is this');
INSERT INTO conversation (id, version, channel_id, contact_id, identity_id, chat, status, tags, team_id, assignee_id,
    waiting_since, last_at, last_text, in_count, message_count)
VALUES (1, 9, 1, 1, 1, '5001', 'open', '{urgent}', 1, 1, '2026-10-04Z', '2026-10-04Z', 'Are you there?', 2, 4);
INSERT INTO conversation (id, channel_id, contact_id, identity_id, status, closed_at, previous_id)
VALUES (2, 1, 1, 1, 'closed', '2026-09-01Z', 1);
INSERT INTO participant (conversation_id, identity_id) VALUES (1, 3);
INSERT INTO message (at, id, conversation_id, identity_id, kind, content, direction, author_kind, author_id, text, status, in_no, edited_at) VALUES
    ('2026-09-01Z', '01990000-0000-7000-8000-000000000001', 1, 1, 'message', 'text', 'in', 'contact', NULL, 'Hello', 'received', 1, '2026-09-01Z'),
    ('2026-10-04Z', '01990000-0000-7000-8000-000000000002', 1, 1, 'message', 'photo', 'in', 'contact', NULL, 'Are you there?', 'received', 2, NULL),
    ('2026-10-05Z', '01990000-0000-7000-8000-000000000003', 1, NULL, 'message', 'text', 'out', 'agent', 1, 'Yes', 'queued', 0, NULL),
    ('2026-10-05Z', '01990000-0000-7000-8000-000000000004', 1, NULL, 'note', 'text', 'out', 'agent', 1, 'Ask for the size', 'sent', 0, NULL);
INSERT INTO external_ref (channel_id, kind, key, message_at, message_id) VALUES
    (1, 'message', '5001:1', '2026-09-01Z', '01990000-0000-7000-8000-000000000001'), (1, 'event', 'u:98', NULL, NULL);
INSERT INTO message_raw (message_at, message_id, raw) VALUES ('2026-09-01Z', '01990000-0000-7000-8000-000000000001', '\x7b7d');
INSERT INTO message_revision (message_at, message_id, no, text) VALUES ('2026-09-01Z', '01990000-0000-7000-8000-000000000001', 1, 'Helo');
INSERT INTO reaction (message_at, message_id, agent_id, emoji) VALUES ('2026-10-04Z', '01990000-0000-7000-8000-000000000002', 1, '👍');
INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, kind, name, type, size, state, blob)
VALUES ('01990000-0000-7000-8000-000000000005', 1, 1, '2026-10-04Z', '01990000-0000-7000-8000-000000000002', 'photo', 'door.jpg',
    'image/jpeg', 10, 'ok', repeat('a', 64));
INSERT INTO outbox (client_id, channel_id, conversation_id, message_at, message_id, state, not_before)
VALUES ('01990000-0000-7000-8000-000000000003', 1, 1, '2026-10-05Z', '01990000-0000-7000-8000-000000000003', 'queued', '2099-01-01Z');
INSERT INTO read_marker (agent_id, conversation_id, in_no) VALUES (1, 1, 1);
INSERT INTO routing_turn (team_id, agent_id) VALUES (1, 1);
INSERT INTO tag (name, color) VALUES ('urgent', 'red');
