package telegram

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// cardContent are the contents that are neither text nor a file.
func cardContent(m *models.Message) (body, bool) {
	switch {
	case m.Venue != nil: // before location: a venue carries both
		v := m.Venue
		d := params{"lat": v.Location.Latitude, "lon": v.Location.Longitude, "title": clean(v.Title, maxName), "address": clean(v.Address, 1024)}
		return words("location", joined(": ", v.Title, v.Address), d)
	case m.Location != nil:
		l := m.Location
		d := params{"lat": l.Latitude, "lon": l.Longitude}
		if l.LivePeriod > 0 {
			d["live"] = true
		}
		if l.HorizontalAccuracy > 0 {
			d["accuracy_m"] = l.HorizontalAccuracy
		}
		return words("location", fmt.Sprintf("%.6f, %.6f", l.Latitude, l.Longitude), d)
	case m.Contact != nil:
		return contactContent(m)
	case m.Poll != nil:
		return pollContent(m.Poll)
	case m.Dice != nil:
		return words("dice", fmt.Sprintf("%s %d", m.Dice.Emoji, m.Dice.Value), params{"emoji": clean(m.Dice.Emoji, 64), "value": m.Dice.Value})
	case m.Game != nil:
		b, ok := words("unknown", joined(": ", "Game", m.Game.Title), params{"type": "game", "title": clean(m.Game.Title, maxName), "description": clean(m.Game.Description, 1024)})
		if len(m.Game.Photo) > 0 {
			p := largest(m.Game.Photo)
			b.media = []channels.Media{withShape(newMedia("photo", p.FileID, p.FileUniqueID, "", "image/jpeg", int64(p.FileSize)), p.Width, p.Height, 0)}
		}
		return b, ok
	case m.Invoice != nil:
		i := m.Invoice
		return words("unknown", joined(" ", "Invoice", i.Title, money(i.TotalAmount, i.Currency)),
			params{"type": "invoice", "title": clean(i.Title, maxName), "description": clean(i.Description, 1024), "currency": clean(i.Currency, 8), "amount": i.TotalAmount})
	case m.SuccessfulPayment != nil:
		p := m.SuccessfulPayment
		return words("unknown", joined(" ", "Paid", money(p.TotalAmount, p.Currency)),
			params{"type": "successful_payment", "currency": clean(p.Currency, 8), "amount": p.TotalAmount, "payload": clean(p.InvoicePayload, 256), "charge_id": clean(p.TelegramPaymentChargeID, 256)})
	case m.RefundedPayment != nil:
		p := m.RefundedPayment
		return words("unknown", joined(" ", "Refunded", money(p.TotalAmount, p.Currency)), params{"type": "refunded_payment", "currency": clean(p.Currency, 8), "amount": p.TotalAmount})
	case m.Checklist != nil:
		return checklistContent(m.Checklist)
	case m.Story != nil:
		return words("unknown", joined(" ", "Shared a story of", chatPerson(&m.Story.Chat).Name), params{"type": "story"})
	case m.WebAppData != nil:
		return words("unknown", joined(": ", "Sent from the mini app", m.WebAppData.ButtonText),
			params{"type": "web_app_data", "button": clean(m.WebAppData.ButtonText, maxName), "data": clean(m.WebAppData.Data, 4096)})
	case m.UsersShared != nil:
		return words("unknown", "Shared contacts from Telegram", params{"type": "users_shared"})
	case m.ChatShared != nil:
		return words("unknown", "Shared a chat", params{"type": "chat_shared"})
	case m.Gift != nil:
		return words("unknown", joined(": ", "Sent a gift", m.Gift.Text), params{"type": "gift"})
	case m.UniqueGift != nil:
		return words("unknown", joined(": ", "Sent a gift", m.UniqueGift.Gift.BaseName), params{"type": "unique_gift"})
	case m.Giveaway != nil:
		return words("unknown", "Announced a giveaway", params{"type": "giveaway"})
	case m.GiveawayWinners != nil:
		return words("unknown", "The winners of a giveaway were drawn", params{"type": "giveaway_winners"})
	case m.PassportData != nil:
		return words("unknown", "Shared documents through Telegram Passport", params{"type": "passport_data"})
	}
	return body{}, false
}

func contactContent(m *models.Message) (body, bool) {
	c := m.Contact
	d := params{"name": fullName(c.FirstName, c.LastName), "phone": clean(c.PhoneNumber, 64), "own": isOwn(m)}
	if c.UserID != 0 {
		d["telegram"] = strconv.FormatInt(c.UserID, 10)
	}
	return words("contact", joined(", ", fullName(c.FirstName, c.LastName), clean(c.PhoneNumber, 64)), d)
}

// isOwn tells a shared own number from somebody else's card. Telegram fills user_id with the owner of the number. A
// forwarded card may be old: the number may have a new owner by now.
func isOwn(m *models.Message) bool {
	return m.Contact != nil && m.From != nil && m.Contact.UserID != 0 && m.Contact.UserID == m.From.ID && m.ForwardOrigin == nil
}

// ownPhone is the number that Telegram vouches for as the sender's; it comes with the country code, mostly without +.
func ownPhone(m *models.Message) string {
	if !isOwn(m) {
		return ""
	}
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, m.Contact.PhoneNumber)
	if len(digits) < 7 || len(digits) > 15 {
		return ""
	}
	return "+" + digits
}

func pollContent(p *models.Poll) (body, bool) {
	options := make([]string, 0, len(p.Options))
	lines := []string{p.Question}
	for _, o := range p.Options[:min(len(p.Options), 50)] {
		options = append(options, clean(o.Text, maxName))
		lines = append(lines, "– "+o.Text)
	}
	return words("poll", strings.Join(lines, "\n"),
		params{"question": clean(p.Question, 1024), "options": options, "closed": p.IsClosed, "anonymous": p.IsAnonymous, "quiz": p.Type == "quiz", "votes": p.TotalVoterCount})
}

func checklistContent(c *models.Checklist) (body, bool) {
	lines := []string{c.Title}
	for _, t := range c.Tasks[:min(len(c.Tasks), 100)] {
		mark := "☐ "
		if t.CompletionDate > 0 || t.CompletedByUser != nil {
			mark = "☑ "
		}
		lines = append(lines, mark+t.Text)
	}
	return words("unknown", strings.Join(lines, "\n"), params{"type": "checklist"})
}

// money writes an amount of the smallest unit, as Telegram gives it; stars and a few currencies have no smaller unit.
func money(amount int, currency string) string {
	currency = clean(currency, 8)
	switch currency {
	case "XTR":
		return strconv.Itoa(amount) + " ⭐"
	case "CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "UYI", "VND":
		return strconv.Itoa(amount) + " " + currency
	}
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	return fmt.Sprintf("%s%d.%02d %s", sign, amount/100, amount%100, currency)
}

// joined joins what is not empty.
func joined(sep string, parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, sep)
}
