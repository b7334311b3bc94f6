package webform

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// tokenLife is how long a page may stay open before what it got is stale; the script then asks anew by itself.
const tokenLife = 2 * time.Hour

// signer issues challenges and knows its own again. A challenge is "1.<issued ms>.<nonce>.<bits>.<mac>"; it is solved by
// a number with which SHA-256 of "<challenge>.<number>" begins with as many zero bits.
type signer struct {
	secret []byte
	key    string
	bits   int
	now    func() time.Time
}

// challenge is one that was verified.
type challenge struct {
	nonce  string
	age    time.Duration
	proven bool
}

func (s signer) issue() (string, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	head := "1." + strconv.FormatInt(s.now().UnixMilli(), 10) + "." + base64.RawURLEncoding.EncodeToString(nonce) + "." + strconv.Itoa(s.bits)
	return head + "." + s.mac(head), nil
}

func (s signer) mac(head string) string {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte("webform\n" + s.key + "\n" + head))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// verify tells a challenge of ours that is not stale, and whether proof solves it. One that was issued before the admin
// made it harder counts as stale.
func (s signer) verify(token, proof string) (c challenge, ok bool) {
	if len(token) > 200 || len(proof) > 20 {
		return c, false
	}
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || !hmac.Equal([]byte(s.mac(token[:cut])), []byte(token[cut+1:])) {
		return c, false
	}
	parts := strings.Split(token[:cut], ".")
	if len(parts) != 4 || parts[0] != "1" {
		return c, false
	}
	issued, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return c, false
	}
	if n, err := strconv.Atoi(parts[3]); err != nil || n < s.bits {
		return c, false
	}
	c.nonce, c.age = parts[2], s.now().Sub(time.UnixMilli(issued))
	if c.age < -time.Minute || c.age > tokenLife { // another node's clock may be a little ahead
		return c, false
	}
	c.proven = s.bits > 0 && proof != "" && zeroBits(token+"."+proof) >= s.bits
	return c, true
}

func zeroBits(text string) int {
	n := 0
	for _, b := range sha256.Sum256([]byte(text)) {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}
