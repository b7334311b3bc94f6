package telegram

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-hub/parley/channels"
)

// outcome tells the outbox what a failed call means. The Bot API has no key by which it would recognise a repeated
// message and no way to ask what was sent, so only what surely had no effect may be tried again.
func (a *Adapter) outcome(err error) *channels.SendError {
	var se *channels.SendError
	if errors.As(err, &se) {
		return se
	}
	var ce *callError
	if errors.As(err, &ce) {
		switch {
		case ce.Local:
			return &channels.SendError{Kind: channels.Temporary, Reason: "An attachment could not be read. Nothing was sent.", Err: err}
		case ce.Unsent:
			return &channels.SendError{Kind: channels.Temporary, Reason: "Telegram cannot be reached. Nothing was sent.", Err: err}
		case errors.Is(ce.Err, context.DeadlineExceeded):
			return uncertain("Telegram did not answer in time. The message may have been delivered.", err)
		}
		return uncertain("The connection broke before Telegram answered. The message may have been delivered.", err)
	}
	var ae *apiError
	if errors.As(err, &ae) {
		return a.refusal(ae)
	}
	return uncertain("It is not known whether the message was delivered.", err)
}

func uncertain(reason string, err error) *channels.SendError {
	return &channels.SendError{Kind: channels.Uncertain, Reason: reason, Err: err}
}

func (a *Adapter) refusal(e *apiError) *channels.SendError {
	fail := func(kind channels.SendErrorKind, reason string) *channels.SendError {
		return &channels.SendError{Kind: kind, Reason: reason, RetryAfter: e.RetryAfter, Err: e}
	}
	d := strings.ToLower(e.Description)
	switch {
	case e.Code == 429:
		return fail(channels.Temporary, "Telegram asks to wait: too many messages were sent.")
	case e.Code >= 500:
		return fail(channels.Temporary, "Telegram has trouble.")
	case e.Code == 401 || e.Code == 404:
		return fail(channels.AccountDown, "Telegram does not accept the bot's token any more.")
	case e.Code >= 300 && e.Code < 400:
		return fail(channels.AccountDown, "The address of the Bot API points somewhere else.")
	case e.Code == 409:
		return fail(channels.Temporary, "Telegram is busy with this bot.")
	case e.Code == 413:
		return fail(channels.Permanent, "The file is too large for Telegram.")
	case e.Code == 403:
		return fail(channels.Unreachable, forbidden(d))
	case strings.Contains(d, "chat not found"), strings.Contains(d, "user not found"), strings.Contains(d, "peer_id_invalid"):
		return fail(channels.Unreachable, "Telegram does not know this chat. The customer has to write to the bot first.")
	case strings.Contains(d, "user_is_blocked"):
		return fail(channels.Unreachable, forbidden("blocked by the user"))
	}
	return fail(channels.Permanent, badRequest(d, e.Description))
}

func forbidden(d string) string {
	switch {
	case strings.Contains(d, "blocked by the user"):
		return "The customer has blocked the bot."
	case strings.Contains(d, "deactivated"):
		return "The customer's Telegram account was deleted."
	case strings.Contains(d, "initiate conversation"):
		return "A bot cannot write first: the customer has to start it."
	case strings.Contains(d, "kicked"), strings.Contains(d, "not a member"):
		return "The bot is no longer in the group."
	}
	return "Telegram does not let the bot write here: " + d
}

func badRequest(d, description string) string {
	switch {
	case strings.Contains(d, "message text is empty"), strings.Contains(d, "text must be non-empty"):
		return "There is nothing to send."
	case strings.Contains(d, "message is too long"), strings.Contains(d, "caption is too long"):
		return "The message is too long for Telegram."
	case strings.Contains(d, "message to edit not found"):
		return "The message is no longer there, so it cannot be edited."
	case strings.Contains(d, "message can't be edited"):
		return "Telegram does not let this message be edited any more."
	case strings.Contains(d, "message can't be deleted"):
		return "Telegram does not let this message be deleted: a bot can do so for 48 hours."
	case strings.Contains(d, "reaction_invalid"):
		return "Telegram does not allow this reaction here."
	case strings.Contains(d, "message to react not found"):
		return "The message is no longer there."
	case strings.Contains(d, "not enough rights"), strings.Contains(d, "have no rights"):
		return "The bot has no right to do this in the group."
	case strings.Contains(d, "file is too big"):
		return "The file is too large for Telegram."
	case strings.Contains(d, "voice_messages_forbidden"):
		return "The customer does not accept voice messages."
	case strings.Contains(d, "business_connection"), strings.Contains(d, "business connection"):
		return "The business account has disconnected the bot or does not let it write here."
	}
	return fmt.Sprintf("Telegram refuses it: %s", strings.TrimPrefix(description, "Bad Request: "))
}

// refused reports whether the API said no with one of these words.
func refused(err error, anyOf ...string) bool {
	var ae *apiError
	if !errors.As(err, &ae) || ae.Code != 400 {
		return false
	}
	d := strings.ToLower(ae.Description)
	for _, w := range anyOf {
		if strings.Contains(d, w) {
			return true
		}
	}
	return false
}
