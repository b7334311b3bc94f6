package live

import "sync"

// slicePool keeps the arrays that queues are made of: an idle socket has none.
type slicePool struct{ p sync.Pool }

const (
	sliceFrames = 32
	sliceKeep   = 512 // longer ones are left to the collector
)

func (s *slicePool) get() [][]byte {
	if v, ok := s.p.Get().(*[][]byte); ok {
		return (*v)[:0]
	}
	return make([][]byte, 0, sliceFrames)
}

func (s *slicePool) put(b [][]byte) {
	if cap(b) == 0 || cap(b) > sliceKeep {
		return
	}
	b = b[:cap(b)]
	clear(b)
	b = b[:0]
	s.p.Put(&b)
}

// bufferPool keeps the buffers that incoming messages are read into.
type bufferPool struct{ p sync.Pool }

const bufferKeep = 8 << 10

func (s *bufferPool) get() *[]byte {
	if v, ok := s.p.Get().(*[]byte); ok {
		return v
	}
	b := make([]byte, 512)
	return &b
}

func (s *bufferPool) put(b *[]byte) {
	if len(*b) <= bufferKeep {
		s.p.Put(b)
	}
}
