// Package postgres is everything the house needs of its database: the private server that runs when no other is given,
// the pool, transactions, migrations, partitions and leases.
//
// Invariants:
//   - A data directory that holds anything is never initialised again, and never opened by another major version.
//   - One data directory has one hub and one postmaster; both facts are kept by file locks, not by process ids.
//   - The schema only moves forward, one transaction per migration; a program never writes into a newer schema.
//   - A lease has one holder at a time by the database's clock, and each taking has a higher epoch than the one before.
//   - The spine's epoch grows whenever transaction ids start anew (upgrade, restore).
//
// Failure semantics: an error of a statement means that its transaction did not happen, except when the connection was
// lost during COMMIT; then the outcome is unknown and the caller must find out by its own key. InTx repeats only what
// Postgres asks to be repeated (deadlock, serialization failure).
package postgres
