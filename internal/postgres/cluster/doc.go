// Package cluster knows the programs of PostgreSQL and the directories they write: where the binaries are, how a data
// directory is made, as which user a server runs, and how to be sure that nobody else runs it. It speaks no SQL.
//
// The private server of the hub and the throw-away servers of the tests are built from it.
package cluster
