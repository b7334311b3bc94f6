package e2e

import (
	"net/url"
	"testing"

	"github.com/parley-hub/parley/e2e/rig"
)

// What a customer writes is found a moment later, as he corrects it, until he is forgotten.
func TestSearch(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	telegram(t, w, nil)
	user := w.Fake.NewUser("Sara Bekele", "am")
	id := user.Send("ሰላም፡ዓለም pineapple")
	user.SendDocument("Договор.pdf", "application/pdf", []byte("x"), "")
	find := func(q string, messages, files int) {
		t.Helper()
		check(t, rig.Until(ctx, "what is found by "+q, rig.Patience, func() (bool, error) {
			var found struct {
				Messages, Files struct {
					Items []struct {
						ConversationID string `json:"conversation_id"`
					} `json:"items"`
				}
			}
			err := w.Admin.Get(ctx, "/api/search?q="+url.QueryEscape(q), &found)
			return len(found.Messages.Items) == messages && len(found.Files.Items) == files, err
		}))
	}
	find("pineap", 1, 0)
	find("ሠላም", 1, 0)
	find("говор", 0, 1)
	user.Edit(id, "mango")
	find("pineapple", 0, 0)
	find("mango", 1, 0)
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	check(t, w.Admin.JSON(ctx, "DELETE", "/api/contacts/"+conv.Contact.ID, nil, nil))
	find("mango", 0, 0)
	find("говор", 0, 0)
}
