package limit

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"net/http"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	groupWriters = 2
	groupBatch   = 100

	// the hub's own columns and indexes, without its foreign keys and partitions; sequences come along
	groupTablesSQL = `CREATE SCHEMA floor;
CREATE TABLE floor.identity (LIKE identity INCLUDING ALL);
CREATE TABLE floor.contact (LIKE contact INCLUDING ALL);
CREATE TABLE floor.conversation (LIKE conversation INCLUDING ALL);
CREATE TABLE floor.message (LIKE message INCLUDING DEFAULTS INCLUDING INDEXES INCLUDING CONSTRAINTS)`

	groupResolveSQL = `SELECT v, i.id IS NULL, coalesce(i.id, nextval('floor.identity_id_seq')), coalesce(i.contact_id, nextval('contact_id_seq'))
FROM unnest($1::text[]) v LEFT JOIN LATERAL (SELECT id, contact_id FROM floor.identity WHERE kind = 'telegram' AND value = v LIMIT 1) i ON true`

	groupFreshSQL = `WITH i AS (INSERT INTO floor.identity (id, kind, value, contact_id) OVERRIDING SYSTEM VALUE
	SELECT i, 'telegram', v, c FROM unnest($1::bigint[], $2::text[], $3::bigint[]) x (i, v, c))
INSERT INTO floor.contact (id, name) SELECT c, 'Person ' || v FROM unnest($2::text[], $3::bigint[]) x (v, c)`

	groupStoreSQL = `WITH k AS (INSERT INTO floor.conversation (channel_id, contact_id, identity_id, in_count, message_count, last_text)
	SELECT 1, c, i, n, n, t FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[]) x (c, i, n, t) ORDER BY c
	ON CONFLICT (channel_id, contact_id) WHERE status <> 'closed' AND thread_key IS NULL DO UPDATE SET version = conversation.version + 1,
		in_count = conversation.in_count + excluded.in_count, message_count = conversation.message_count + excluded.message_count,
		last_text = excluded.last_text, last_at = excluded.last_at
	RETURNING id, contact_id)
INSERT INTO floor.message (at, id, conversation_id, identity_id, kind, direction, author_kind, author_id, text, status)
SELECT now(), u, k.id, i, 'message', 'in', 'contact', c, t, 'received'
FROM unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::text[]) x (u, c, i, t) JOIN k ON k.contact_id = c`
)

// Group stores messages of people in groups: two writers, sharded by sender, take what has queued and commit it with two
// round trips. Each caller is answered after the commit. Its tables have the indexes of the hub's.
type Group struct {
	pool   *pgxpool.Pool
	shards [groupWriters]chan entry
	wg     sync.WaitGroup
}

type entry struct {
	sender, text string
	done         chan error
}

// NewGroup makes its tables beside those of the hub in a migrated database. The pool must not read whole tables, which
// have no statistics yet.
func NewGroup(ctx context.Context, pool *pgxpool.Pool) (*Group, error) {
	if _, err := pool.Exec(ctx, groupTablesSQL); err != nil {
		return nil, err
	}
	g := &Group{pool: pool}
	for i := range g.shards {
		g.shards[i] = make(chan entry, 2048)
		g.wg.Go(func() { g.write(context.WithoutCancel(ctx), g.shards[i]) })
	}
	return g, nil
}

// Close ends the writers when nobody calls any more.
func (g *Group) Close() {
	for _, ch := range g.shards {
		close(ch)
	}
	g.wg.Wait()
}

// Add returns when the message is committed.
func (g *Group) Add(sender, text string) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(sender))
	e := entry{sender, text, make(chan error, 1)}
	g.shards[h.Sum32()%groupWriters] <- e
	return <-e.done
}

// ServeHTTP takes an update of Telegram.
func (g *Group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var u struct {
		Message struct {
			Text string `json:"text"`
			From struct {
				ID json.Number `json:"id"`
			} `json:"from"`
		} `json:"message"`
	}
	err := json.NewDecoder(r.Body).Decode(&u)
	if err == nil {
		err = g.Add(u.Message.From.ID.String(), u.Message.Text)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (g *Group) write(ctx context.Context, ch chan entry) {
	for e := range ch {
		batch := []entry{e}
	fill:
		for len(batch) < groupBatch {
			select {
			case e, open := <-ch:
				if !open {
					break fill
				}
				batch = append(batch, e)
			default:
				break fill
			}
		}
		err := g.store(ctx, batch)
		for _, e := range batch {
			e.done <- err
		}
	}
}

// person is a sender within a batch.
type person struct {
	identity, contact int64
	n                 int32
	last              string
}

func (g *Group) store(ctx context.Context, batch []entry) error {
	people := map[string]*person{}
	var names []string
	for _, e := range batch {
		if people[e.sender] == nil {
			people[e.sender] = &person{}
			names = append(names, e.sender)
		}
		people[e.sender].n++
		people[e.sender].last = e.text
	}
	rows, err := g.pool.Query(ctx, groupResolveSQL, names)
	if err != nil {
		return err
	}
	var newIdentities, newContacts []int64
	var newNames []string
	var name string
	var fresh bool
	var identity, contact int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &fresh, &identity, &contact}, func() error {
		people[name].identity, people[name].contact = identity, contact
		if fresh {
			newIdentities, newNames, newContacts = append(newIdentities, identity), append(newNames, name), append(newContacts, contact)
		}
		return nil
	}); err != nil {
		return err
	}
	var b pgx.Batch // one round trip and one transaction
	if len(newNames) > 0 {
		b.Queue(groupFreshSQL, newIdentities, newNames, newContacts)
	}
	b.Queue(groupStoreSQL, groupArgs(batch, people, names)...)
	return g.pool.SendBatch(ctx, &b).Close()
}

func groupArgs(batch []entry, people map[string]*person, names []string) []any {
	var contacts, identities, toContact, fromIdentity []int64
	var counts []int32
	var lasts, texts []string
	var keys []uuid.UUID
	for _, name := range names {
		p := people[name]
		contacts, identities = append(contacts, p.contact), append(identities, p.identity)
		counts, lasts = append(counts, p.n), append(lasts, p.last)
	}
	for _, e := range batch {
		p := people[e.sender]
		keys, texts = append(keys, uuid.Must(uuid.NewV7())), append(texts, e.text)
		toContact, fromIdentity = append(toContact, p.contact), append(fromIdentity, p.identity)
	}
	return []any{contacts, identities, counts, lasts, keys, toContact, fromIdentity, texts}
}
