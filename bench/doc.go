// Command bench measures the real binary against the floor of the machine it runs on: small programs (bench/limit) that do
// the least that the same promise needs. Everything runs on loopback and on a private PostgreSQL that syncs every commit;
// server, database and load share the machine, and limit and product take turns, so ratios mean more than rates.
//
//	SIZE=0.1 go run ./bench    quick; 1 is the default, 10 uses ten times the data
//	CASE=live go run ./bench   the cases whose names begin so
//
// A wrong count makes it exit with 1: something was lost, came twice or became two people. A missed speed prints FAIL and
// is for a person to read, beside the load of the machine in the first line.
package main
