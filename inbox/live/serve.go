package live

import (
	"bufio"
	"net"
	"net/http"
	"slices"
)

// Serve takes over the connection of a request that web has authenticated, and returns: the socket lives on in
// goroutines of its own. (Staying in the handler would keep the server's buffers, some 17 kB for each agent.)
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, v Viewer) {
	h.mu.Lock()
	stopped, mark := h.stopped, h.sessions.mark
	many := len(h.byAgent[v.AgentID]) >= h.cfg.MaxPerAgent
	h.mu.Unlock()
	switch {
	case stopped:
		http.Error(w, "the server is restarting", http.StatusServiceUnavailable)
		return
	case many:
		http.Error(w, "too many connections of this agent", http.StatusTooManyRequests)
		return
	}
	ws, err := h.upgrader.Upgrade(hijackable{w}, r, nil)
	if err != nil {
		h.log.DebugContext(r.Context(), "no websocket", "agent_id", v.AgentID, "error", err)
		return
	}
	c := &conn{hub: h, ws: ws, nc: ws.NetConn(), viewer: v}
	c.hear()
	if !h.add(c, mark) {
		_ = c.writev([][]byte{closeFrame(closeGoingAway, "the server restarts")})
		_ = c.nc.Close()
		return
	}
	go c.read()
}

// hijackable finds the Hijacker behind the wrappers that middleware puts around a ResponseWriter.
type hijackable struct{ http.ResponseWriter }

func (w hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// add registers a socket. mark is where the ended sessions stood when the request was looked at: a session that ended
// since then has not closed this socket.
func (h *Hub) add(c *conn, mark uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false
	}
	h.readers.Add(1)
	c.place = len(h.conns)
	h.conns = append(h.conns, c)
	h.byAgent[c.viewer.AgentID] = append(h.byAgent[c.viewer.AgentID], c)
	h.wheel.put(c, h.cfg.Now().Add(h.cfg.Silence))
	h.Metrics.Sockets.Add(1)
	if h.sessions.ended(c.viewer, mark) {
		c.shutdown(closeSignedOut, "signed out")
	}
	return true
}

// remove forgets a socket.
func (h *Hub) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.conns) - 1
	h.conns[c.place] = h.conns[last]
	h.conns[c.place].place = c.place
	h.conns[last] = nil
	h.conns = h.conns[:last]
	mine := h.byAgent[c.viewer.AgentID]
	if mine = slices.DeleteFunc(mine, func(o *conn) bool { return o == c }); len(mine) == 0 {
		delete(h.byAgent, c.viewer.AgentID)
	} else {
		h.byAgent[c.viewer.AgentID] = mine
	}
	c.live = false
	c.gone = true // it falls off the wheel when its second comes
	h.watch(c, 0)
	h.Metrics.Sockets.Add(-1)
}
