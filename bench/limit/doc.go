// Package limit holds the floor programs of the benchmarks: each does the least that keeps one promise of the hub, with
// nothing of the hub in it, so that a ratio says what the hub adds. They are no models of how to write a program: no
// edge cases, no recovery, the first error ends them.
package limit
