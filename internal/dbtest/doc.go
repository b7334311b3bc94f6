// Package dbtest gives tests real databases, quickly.
//
//   - Tx: a transaction that is rolled back. For stores and most tests of rooms; costs less than a millisecond.
//   - DB: a private database. For everything that commits, listens, or needs several connections.
//   - URL: the address of one, for tests that start the real program. Empty: one without a schema.
//   - Server: a private database on a server of its own. For tests that wait for the tailer, whose horizon counts the
//     transactions of every database of a server, those of other tests too.
//
// Databases are clones of a template that holds the migrated schema. A clone costs some 40 ms, so it is not dropped: it
// goes back to a store and is emptied by DELETE when it is taken again, sequences and the rows that the migrations
// seeded as they were. A clone whose schema a test has changed is recognised and dropped. Which clones are in use is
// known by session-level advisory locks, so those of finished processes, killed ones too, are found and used again.
//
// The server is the one of PARLEY_TEST_DATABASE_URL (make test starts one); without it, a shared one is started and
// left for the next run; it ends by itself after 15 minutes without use, or by "go run ./internal/dbtest/cmd/testdb
// stop" (see testserver for the how and why). If the URL's role is a superuser, tests work as the plain role "parley",
// like the program; if not, as that role, and clones cannot be emptied, so each test gets a new one.
//
// The package keeps one state per process, since "go test" gives it no other place: Main ends what it holds.
package dbtest
