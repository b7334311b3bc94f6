// Package e2e starts the real binary against real peers and looks at it from outside only: over HTTP, over the live feed,
// at the fake provider, and at what it printed. What a person would rely on is a test here: that a stranger's message
// arrives and the answer gets back, that nothing is lost or sent twice whatever is killed, that nobody sees what he may
// not, that rubbish stays text.
//
// The quick set is part of every run of all tests. PARLEY_E2E_FULL=1 runs the drills at the numbers of the promises
// (10,000 messages in with 100 kills, 3,000 out with 70, 15 crashes of the database). Counts decide, never speed.
//
// The browser's own tests run against a hub that TestBrowser starts; see browser_test.go for what they are told.
package e2e
