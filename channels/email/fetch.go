package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/parley-hub/parley/channels"
)

const (
	// maxMail is how large a mail may be; of a larger one the beginning is taken.
	maxMail = 50 << 20
	maxHead = 256 << 10
	// maxGroup bounds what one transaction carries, in bytes of mail; a larger mail goes alone.
	maxGroup = 4 << 20
	// fetchTimeout bounds one group of messages.
	fetchTimeout = 5 * time.Minute
)

// large lets one large mail at a time through the process, whatever the number of mailboxes.
var large = make(chan struct{}, 1) //nolint:gochecknoglobals // the memory that it guards is the process's

// piece is a message as the folder lists it.
type piece struct {
	uid  uint32
	size int64
	at   time.Time // when it came into the mailbox
}

// group is some messages that are stored together, converted; err is why they could not be fetched.
type group struct {
	first, last uint32
	events      []channels.Inbound
	err         error
}

// take fetches, converts and stores messages in order, in groups of a bounded size. While one group is being stored the
// next is fetched, and no more.
func (f *folder) take(ctx context.Context, s *session, uids []uint32) error {
	list, err := f.list(s, uids)
	if err != nil {
		return f.failedAt(ctx, uids[0], err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ahead := make(chan group)
	var wg sync.WaitGroup
	defer wg.Wait() // the connection is used by one at a time
	defer cancel()
	at := f.at // moves while the next group is converted
	wg.Go(func() {
		defer close(ahead)
		for len(list) > 0 {
			n := f.groupSize(list)
			g := f.guarded(func() group { return f.fetchGroup(ctx, s, at, list[:n]) }, list[0].uid)
			select {
			case ahead <- g:
			case <-ctx.Done():
				return
			}
			if g.err != nil {
				return
			}
			list = list[n:]
		}
	})
	for g := range ahead {
		if g.err != nil {
			return f.failedAt(ctx, g.first, g.err)
		}
		next := f.at
		next.Next = g.last + 1
		if err := f.ingest(ctx, g.events, next); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// guarded turns a panic over a strange answer into an error of that group.
func (f *folder) guarded(fetch func() group, first uint32) (g group) {
	defer func() {
		if p := recover(); p != nil {
			g = group{first: first, err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return fetch()
}

// groupSize is how many of the next messages go together; one that failed before goes alone.
func (f *folder) groupSize(list []piece) int {
	n, bytes := 0, int64(0)
	for n < len(list) && (n == 0 || bytes+list[n].size <= maxGroup) && (n == 0 || f.stuckAt != list[0].uid || f.stuck < stuckAlone) {
		bytes += list[n].size
		n++
	}
	return n
}

func (f *folder) fetchGroup(ctx context.Context, s *session, at place, list []piece) group {
	g := group{first: list[0].uid, last: list[len(list)-1].uid}
	if len(list) == 1 && list[0].size > maxGroup {
		select {
		case large <- struct{}{}:
			defer func() { <-large }()
		case <-ctx.Done():
			g.err = ctx.Err()
			return g
		}
	}
	raw := map[uint32][]byte{}
	for _, short := range []bool{false, true} {
		var set imap.UIDSet
		for _, p := range list {
			if short == (p.size > f.largest) {
				set.AddNum(imap.UID(p.uid))
			}
		}
		if len(set) == 0 {
			continue
		}
		bodies, err := f.bodies(s, set, short)
		if err != nil {
			g.err = err
			return g
		}
		maps.Copy(raw, bodies)
	}
	for _, p := range list {
		if b, ok := raw[p.uid]; ok { // else it is gone meanwhile
			g.events = append(g.events, f.convert(b, at, p)...)
		}
	}
	return g
}

// failedAt remembers where fetching failed. A message at which it fails again and again is shown as one that could not
// be fetched, so that those behind it come through.
func (f *folder) failedAt(ctx context.Context, uid uint32, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f.stuckAt != uid {
		f.stuckAt, f.stuck = uid, 0
	}
	f.stuck++
	if f.stuck < stuckSkip {
		return fmt.Errorf("fetch from the folder %q: %w", f.name, err)
	}
	p := f.at
	p.Next = uid + 1
	e := f.unfetched(piece{uid: uid, at: f.now()}, err)
	return f.ingest(ctx, []channels.Inbound{e}, p)
}

// list asks for the sizes, in the order of the UIDs; what is gone is left out.
func (f *folder) list(s *session, uids []uint32) ([]piece, error) {
	var set imap.UIDSet
	for _, u := range uids {
		set.AddNum(imap.UID(u))
	}
	found := map[uint32]piece{}
	err := s.within(fetchTimeout, func() error {
		cmd := s.Fetch(set, &imap.FetchOptions{UID: true, RFC822Size: true, InternalDate: true})
		defer cmd.Close()
		for m := cmd.Next(); m != nil; m = cmd.Next() {
			b, err := m.Collect()
			if err != nil {
				return err
			}
			found[uint32(b.UID)] = piece{uid: uint32(b.UID), size: b.RFC822Size, at: b.InternalDate}
		}
		return cmd.Close()
	})
	if err != nil {
		return nil, err
	}
	var out []piece
	for _, u := range uids {
		if p, ok := found[u]; ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// bodies fetches whole messages, or the beginning of each, without marking them as read.
func (f *folder) bodies(s *session, set imap.UIDSet, short bool) (map[uint32][]byte, error) {
	section := &imap.FetchItemBodySection{Peek: true}
	if short {
		section.Partial = &imap.SectionPartial{Offset: 0, Size: maxHead}
	}
	out := map[uint32][]byte{}
	err := s.within(fetchTimeout, func() error {
		cmd := s.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
		defer cmd.Close()
		for m := cmd.Next(); m != nil; m = cmd.Next() {
			var uid uint32
			var body []byte
			for item := m.Next(); item != nil; item = m.Next() {
				switch item := item.(type) {
				case imapclient.FetchItemDataUID:
					uid = uint32(item.UID)
				case imapclient.FetchItemDataBodySection:
					if item.Literal == nil {
						continue
					}
					b, err := io.ReadAll(io.LimitReader(item.Literal, f.largest+1))
					if err != nil {
						return err
					}
					body = b
				}
			}
			if uid != 0 && body != nil {
				out[uid] = body
			}
		}
		return cmd.Close()
	})
	return out, err
}

// eventKey names the delivery.
func (f *folder) eventKey(validity, uid uint32) string {
	return fmt.Sprintf("%s/%d/%d", f.name, validity, uid)
}

// unfetched stands for a message that the server does not give out.
func (f *folder) unfetched(p piece, err error) channels.Inbound {
	reason := oneLine(err.Error())
	e := f.fallback(nil, meta{Key: f.eventKey(f.at.Validity, p.uid), At: p.at, Now: f.now()})
	e.Text = "A mail came that the mail server does not give out: " + reason
	e.Raw = []byte(reason)
	return e
}

// convert makes events of one message. A panic over strange bytes leaves a message that shows them.
func (f *folder) convert(raw []byte, at place, p piece) (evs []channels.Inbound) {
	m := meta{Key: f.eventKey(at.Validity, p.uid), Folder: f.name, Validity: at.Validity, UID: p.uid, At: p.at, Now: f.now(), Size: p.size}
	defer func() {
		if r := recover(); r != nil {
			evs = []channels.Inbound{f.fallback(raw, m)}
		}
		if p.uid < at.Old {
			for i := range evs {
				came := evs[i].At
				if !p.at.IsZero() && p.at.Before(came) {
					came = p.at
				}
				evs[i].History = came.Unix() < at.Since
			}
		}
	}()
	return f.Convert(raw, m)
}

// FetchMedia streams one part of a message from the mailbox; the hub asks for it when it has not kept the message.
func (a *Adapter) FetchMedia(ctx context.Context, ref jsonRaw, w io.Writer) (channels.MediaInfo, error) {
	r, err := parseRef(ref)
	if err != nil {
		return channels.MediaInfo{}, err
	}
	part := r.imapPart()
	if part == nil || r.TNEF > 0 {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	s, err := a.login(ctx)
	if err != nil {
		return channels.MediaInfo{}, err
	}
	defer s.close()
	sel, err := s.Select(r.Folder, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return channels.MediaInfo{}, err
	}
	if sel.UIDValidity != r.Validity {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	cmd := s.Fetch(imap.UIDSetNum(imap.UID(r.UID)), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Part: part, Peek: true}}})
	defer cmd.Close()
	n, found := int64(0), false
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		for item := m.Next(); item != nil; item = m.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil {
				continue
			}
			found = true
			if n, err = io.Copy(w, decodeTransfer(body.Literal, r.Encoding)); err != nil {
				return channels.MediaInfo{}, err
			}
		}
	}
	if err := cmd.Close(); err != nil {
		return channels.MediaInfo{}, err
	}
	if !found {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	return channels.MediaInfo{Size: n}, nil
}

var errRef = errors.New("not a reference to a part of a mail")
