package staff

import (
	"encoding/base64"

	"golang.org/x/crypto/argon2"
)

// oldKey hashes with the parameters of TestRehashOnLogin.
func oldKey(password string) string {
	return base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), []byte("0123456789abcdef"), 1, 8192, 1, 32))
}
