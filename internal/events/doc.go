// Package events is the spine: every change appends one row to table event in its own transaction, and everything that
// reacts to changes follows that table.
//
// Order. Sequence numbers are not commit order, so nobody reads "rows after id n". A row is read once its transaction id
// lies below the oldest one still running (pg_snapshot_xmin), in the order (epoch, xid, id): then nothing can appear
// before it any more. Epoch names the cluster that gave out the transaction id; rows of older epochs are all visible.
//
// Invariants. A reader sees every committed event exactly once and in one order, which all readers share. A cursor
// stands for "everything up to here was read". What a follower writes and the move of its cursor are one transaction.
//
// Failure. The tailer keeps its cursor in memory and goes on from it when Postgres was away. A transaction that stays
// open holds everybody up, on every database of that server: Lag tells how long, Holder who. A follower retries; an
// event that fails five times is parked in follower_dead and the follower goes on.
package events
