package inbox

import "testing"

// The automatic reply reaches everybody who waits, not only the first of the queue.
func TestAutoReplyReachesTheWholeQueue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	o.exec(`UPDATE team SET auto_reply = 'Back at nine.' WHERE id = $1`, int64(team))
	for range routeBatch + 10 {
		o.waits(team)
	}
	r := o.router()
	o.round(r)
	o.round(r)
	if n := o.id(`SELECT count(*) FROM outbox`); n != routeBatch+10 {
		t.Errorf("%d of %d got the automatic reply", n, routeBatch+10)
	}
}

// An automatic mail asks nothing: answering it automatically would make two robots talk.
func TestAutoReplyDoesNotAnswerRobots(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	o.exec(`UPDATE team SET auto_reply = 'Back at nine.' WHERE id = $1`, int64(team))
	id := o.waits(team)
	o.exec(`UPDATE conversation SET waiting_since = NULL WHERE id = $1`, int64(id))
	o.round(o.router())
	if n := o.id(`SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("a robot got %d replies", n)
	}
}
