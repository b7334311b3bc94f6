// Package notify tells agents what concerns them while they look elsewhere: in the bell of the application, and by Web
// Push on their devices.
//
// Invariants. A follower of the spine decides who is told, in the transaction that moves its cursor: each thing is told
// once. Nobody is told what he did himself, what he may not see, or what happens in the conversation that he has on the
// screen. What is unread already grows instead of becoming a second line. The network is touched by jobs only.
//
// Push. The message is encrypted for the browser that subscribed (RFC 8291) and signed with the hub's own key (RFC
// 8292), which is made at the first start and kept sealed. The address of a push service comes from a browser, so it is
// dialled through the egress guard. A subscription belongs to a session and goes with it.
//
// Failure. A push service that says "gone" loses the subscription; one that does not answer is tried again a few times,
// while the notification is still news. The bell has everything that a push could not bring.
package notify
