// Package rig runs the real program against real peers from outside: it builds the binary, starts, kills and restarts
// it, speaks its HTTP API and its live feed, and runs the drills whose counts are the promises of the hub (nothing lost,
// nothing twice). The end-to-end tests and the benchmarks share it, so it returns errors and knows no testing.TB.
//
// Invariants. Everything listens on loopback on a port that was free a moment ago. Whoever starts a thing ends it: Hub
// and Postgres are ended by Close, and on Linux by the kernel when the process that started them dies. Nothing waits a
// fixed time: Until polls with a deadline, and a deadline decides only whether something ever happens, not how fast.
package rig
