// Package ui carries the built front end inside the binary. dist holds only a placeholder until `make build` has run;
// web then serves a page that says so.
package ui

import "embed"

// Dist is the folder that the front end's build writes.
//
//go:embed all:dist
var Dist embed.FS
