package staff

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	// passwordFloor is the least that the setting password_min can ask for (NIST 800-63B).
	passwordFloor = 8
	// passwordMaxBytes bounds the work of a hash; anything a person or a password manager makes is shorter.
	passwordMaxBytes = 256
	// contextWord is the shortest word that counts as one.
	contextWord = 3
	// rotationFloor and rotationCeiling bound the setting password_max_days; rotationWarning is when the screen begins to
	// say it, rotationHistory how many old passwords stay barred.
	rotationFloor   = 30
	rotationCeiling = 365
	rotationWarning = 14
	rotationHistory = 5
	// mixKinds of the four kinds of signs are asked for when password_mix is on.
	mixKinds = 3
	// passwordOwn is how many characters must be left when the words that anybody could guess here are taken out.
	passwordOwn = 6
)

//go:embed common_passwords.txt
var commonPasswordsFile string

// commonPasswords reads the block list: one lower-case password a line.
func commonPasswords() map[string]struct{} {
	out := make(map[string]struct{}, 8192)
	for line := range strings.Lines(commonPasswordsFile) {
		if w := strings.TrimSpace(line); w != "" {
			out[w] = struct{}{}
		}
	}
	return out
}

// checkPassword is the policy: length, the block list, words that belong to this person or this house, and the mix of
// signs where the settings ask for it. context are the words that belong to the person.
func (s *Service) checkPassword(field, password string, set Settings, context ...string) error {
	least := set.PasswordMin
	if len(password) > passwordMaxBytes {
		return errs.Field(field, "must have at most %d bytes", passwordMaxBytes)
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return errs.Field(field, "must be text")
	}
	if n := utf8.RuneCountInString(password); n < max(least, passwordFloor) {
		return errs.Field(field, "must have at least %d characters", max(least, passwordFloor))
	}
	if set.PasswordMix && kindsOf(password) < mixKinds {
		return errs.Field(field, "must hold three of these: small letters, capital letters, digits, other signs")
	}
	if s.tooCommon(password) || slices.Contains(set.PasswordWords, strings.ToLower(password)) {
		return errs.Field(field, "is on the list of passwords that everybody tries first; choose another, for example four unrelated words")
	}
	context = append(append([]string{set.WorkspaceName}, set.PasswordWords...), context...)
	if guessable(password, context) {
		return errs.Field(field, "is made of your name, your address or the name of this place; choose another, for example four unrelated words")
	}
	return nil
}

// tooCommon looks the password up as it is, without its decoration (passw0rd!, 123hello), and as a pattern.
func (s *Service) tooCommon(password string) bool {
	low := strings.ToLower(password)
	for _, form := range []string{low, undecorate(low), unleet(low), undecorate(unleet(low)), unleet(undecorate(low))} {
		if _, bad := s.banned[form]; bad {
			return true
		}
	}
	return patterned(low)
}

// undecorate takes up to six digits and signs from the ends: what people add to satisfy a rule.
func undecorate(s string) string {
	t := strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if t == "" || utf8.RuneCountInString(s)-utf8.RuneCountInString(t) > 6 {
		return s
	}
	return t
}

func unleet(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '@', '4':
			return 'a'
		case '0':
			return 'o'
		case '1', '!':
			return 'i'
		case '3':
			return 'e'
		case '$', '5':
			return 's'
		case '7':
			return 't'
		}
		return r
	}, s)
}

// patterned finds one short piece repeated, and runs along the alphabet, the digits or the keyboard.
func patterned(s string) bool {
	r := []rune(s)
	for n := 1; n <= 4 && n*2 <= len(r); n++ {
		same := true
		for i := n; i < len(r) && same; i++ {
			same = r[i] == r[i-n]
		}
		if same {
			return true
		}
	}
	for _, row := range []string{
		"abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./",
		"qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "йцукенгшщзхъфывапролджэячсмитьбю", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
	} {
		if strings.Contains(row, s) || strings.Contains(reverse(row), s) {
			return true
		}
	}
	return false
}

func reverse(s string) string {
	r := []rune(s)
	for i, j := 0, len(r)-1; i < j; i, j = i+1, j-1 {
		r[i], r[j] = r[j], r[i]
	}
	return string(r)
}

// guessable takes the context words out and looks at what is left.
func guessable(password string, context []string) bool {
	low := strings.ToLower(password)
	left := low
	for _, c := range append([]string{"parley"}, context...) {
		for _, w := range strings.FieldsFunc(strings.ToLower(c), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if utf8.RuneCountInString(w) >= contextWord {
				left = strings.ReplaceAll(left, w, "")
			}
		}
	}
	return left != low && utf8.RuneCountInString(left) < passwordOwn
}

// kindsOf counts the kinds of signs. Letters of a script without capitals count as small ones.
func kindsOf(password string) int {
	var small, capital, digit, other int
	for _, r := range password {
		switch {
		case unicode.IsUpper(r):
			capital = 1
		case unicode.IsLetter(r):
			small = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			other = 1
		}
	}
	return small + capital + digit + other
}
