// Package live shows every change to everybody who may see it, over websockets (GET /api/live, DESIGN 7).
//
// How it works. One hub per node reads the spine through the tailer, encodes each event once, and puts a reference to
// the finished frame into the queue of every socket that may see it. A socket costs one goroutine that reads; a second
// one exists only while there is something to write, and writes everything that has queued with one system call.
//
// Invariants. A socket gets the events of the spine in order, each once, from the cursor of its ready or snapshot frame
// on; after a break it resumes from its last cursor. Who may not see a conversation gets none of its events, no typing
// and no viewers; who could and no longer can gets "conversation.gone". Publishers never wait for a slow socket. Only
// what was read from the spine is shown; typing, viewers, presence and counts are hints beside it.
//
// Failure. A socket whose queue is full is closed with 4001 and comes back with its cursor; one that is silent for 25 s
// is dropped; one whose permissions shrank is closed with 4003 and reads everything anew; one whose session ended is
// closed with 4002 within a second. A panic while handling a frame closes that one socket. Without the database the
// sockets stay and hints flow; events come when it is back.
package live
