// Package webform takes in what visitors of a website write into a form: a channel of kind "webform", without a way back.
//
// The customer's page embeds form.js, or holds a plain HTML form, or another server posts JSON. Form binds nobody to an
// account: what a visitor says of himself is handed over as unproven (channels.Person.Unproven), so that a known number
// in a stranger's form shows and changes nothing of the person who has it.
//
// Invariants. A challenge is signed and holds its own age, so that no node keeps any; it is the key of the delivery, so
// that it counts once on all nodes together. A submission is acknowledged only after the hub has committed it; the same
// submission again, by a double click or a retry, is the same message. Nothing of a request is kept in memory beyond its
// answer but a counter per network of addresses, of which there is a fixed number; the counters belong to one node.
//
// Failure. What the visitor can mend is told with the field and nothing that he typed is lost; a hub that cannot store
// answers 503 and the script tries again with the same submission.
package webform
