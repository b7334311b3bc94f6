// Package testserver runs throw-away PostgreSQL servers for tests: nothing is synced to disk, the data lies in memory
// where the system has room there, and the whole folder disappears with the server.
//
// Every server is the child of a few lines of shell that outlive the program which started them and end the server,
// whatever becomes of that program. The shell was chosen because it is everywhere, needs nothing from the test binary
// (which may be killed, and whose copy would be 50 MB), and knows no language but "wait, then stop and remove":
//
//   - a private server (Private) waits for the end of a pipe that its owner holds open. The kernel closes the pipe when
//     the owner ends in whatever way, so the server goes in the same moment;
//   - a shared server (Shared, Detached) looks at the age of a file that its users touch whenever they take a database.
//     After 15 minutes (go test's own limit is 10) nobody can be using it, and it goes. To count connections instead
//     would need psql or ps, which neither every installation nor every container has.
//
// Shared finds the server of this user through a small file in the user's cache folder, under a file lock, so that the
// test binaries of "go test ./..." start one server between them.
package testserver
