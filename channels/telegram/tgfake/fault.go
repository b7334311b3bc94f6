package tgfake

import (
	"net/http"
	"strings"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind string

// The faults.
const (
	RateLimit   FaultKind = "rate_limit"   // 429 with RetryAfter; no effect
	ServerError FaultKind = "server_error" // 500 with JSON; no effect
	BadGateway  FaultKind = "bad_gateway"  // 502 with HTML, as a proxy answers; no effect
	CutBefore   FaultKind = "cut_before"   // the request is read, the connection cut; no effect
	CutAfter    FaultKind = "cut_after"    // the call takes effect, then the connection is cut
	Garbage     FaultKind = "garbage"      // the call takes effect, the answer is no JSON
	Delay       FaultKind = "delay"        // the call takes effect after Delay
	Refuse      FaultKind = "refuse"       // Code and Description as given; no effect
)

// Fault makes the next Times calls of Method fail. Method "" matches every method except getUpdates.
type Fault struct {
	Method      string        `json:"method"`
	Kind        FaultKind     `json:"kind"`
	Times       int           `json:"times"` // 0 = 1; -1 = until ClearFaults
	RetryAfter  int           `json:"retry_after"`
	Delay       time.Duration `json:"delay_ns"`
	DelayMS     int           `json:"delay_ms"`
	Code        int           `json:"code"`
	Description string        `json:"description"`
}

// Fail schedules faults; those for one method happen in the order given.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		if f.DelayMS > 0 {
			f.Delay = time.Duration(f.DelayMS) * time.Millisecond
		}
		f.Method = strings.ToLower(f.Method)
		s.faults = append(s.faults, &f)
	}
}

// ClearFaults forgets the schedule.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the next fault of a method; it needs s.mu.
func (s *Server) fault(method string) *Fault {
	for _, f := range s.faults {
		if f.Times != 0 && (f.Method == method || f.Method == "" && method != "getupdates") {
			if f.Times > 0 {
				f.Times--
			}
			return f
		}
	}
	return nil
}

// cut closes the connection without an answer.
func cut() { panic(http.ErrAbortHandler) }
