package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Lengths of the MACs, in hex digits. They are compared whole: a shorter one is none.
const (
	idMAC   = 16
	plusMAC = 20
)

func (a *Adapter) mac(purpose, s string, n int) string {
	h := hmac.New(sha256.New, a.account.Key)
	h.Write([]byte(purpose + "\x00" + s))
	return hex.EncodeToString(h.Sum(nil))[:n]
}

// ProviderID is the Message-ID of a message of ours: made of the client's id, so that a repeated send has the same one.
func (a *Adapter) ProviderID(clientID string) string {
	if clientID == "" {
		return ""
	}
	return clientID + "." + a.mac("message", clientID, idMAC) + "@" + a.set.domain()
}

// isOurs reports whether it was this channel that made the Message-ID.
func (a *Adapter) isOurs(messageID string) bool {
	local, domain, ok := strings.Cut(messageID, "@")
	id, mac, dot := strings.Cut(local, ".")
	return ok && dot && strings.EqualFold(domain, a.set.domain()) && hmac.Equal([]byte(mac), []byte(a.mac("message", id, idMAC)))
}

// replyAddress is our address with the conversation in it: local+p<id>.<mac>@domain.
func (a *Adapter) replyAddress(conversation string) string {
	at := strings.LastIndexByte(a.set.Address, '@')
	return a.set.Address[:at] + "+p" + conversation + "." + a.mac("conversation", conversation, plusMAC) + a.set.Address[at:]
}

// conversationOf reads the conversation from an address that replyAddress made; "" when it is another one, or forged.
func (a *Adapter) conversationOf(address string) string {
	at := strings.LastIndexByte(address, '@')
	own := strings.LastIndexByte(a.set.Address, '@')
	if at < 0 || !strings.EqualFold(address[at:], a.set.Address[own:]) {
		return ""
	}
	local, ok := strings.CutPrefix(strings.ToLower(address[:at]), a.set.Address[:own]+"+p")
	if !ok {
		return ""
	}
	id, mac, dot := strings.Cut(local, ".")
	if !dot || id == "" || len(id) > 19 || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	if !hmac.Equal([]byte(mac), []byte(a.mac("conversation", id, plusMAC))) {
		return ""
	}
	return id
}

// isOwn reports whether an address is this channel's, with or without something after a plus.
func (a *Adapter) isOwn(address string) bool {
	address = strings.ToLower(address)
	if address == a.set.Address {
		return true
	}
	at, own := strings.LastIndexByte(address, '@'), strings.LastIndexByte(a.set.Address, '@')
	return at > 0 && address[at:] == a.set.Address[own:] && strings.HasPrefix(address[:at], a.set.Address[:own]+"+")
}
