// Package tgfake is a Bot API server (9.4) for tests, benches and the demo: bots, customers, groups and business
// accounts in memory, with the semantics on which a client must rely.
//
//   - getUpdates keeps an update until a later call names a higher offset, holds the call open while there is none, and
//     ends the older of two pollers with 409. A webhook is posted to, with its secret, until it answers 2xx.
//   - Parameters come as JSON, form, multipart or in the query. Errors are Telegram's, in its words.
//   - A schedule of faults makes the next calls of a method fail: a limit, an outage, a connection that is cut before or
//     after the call took effect, a slow or a garbled answer.
//
// Customers are driven from Go (Server.NewUser and the methods of User) or by JSON over HTTP under /control/, see
// control.go. The server trusts everybody who reaches it: bind it to loopback.
package tgfake
