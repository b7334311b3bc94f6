package telegram

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// serviceContent is an event of the chat itself, shown as a line in the timeline.
func serviceContent(m *models.Message, fields map[string]json.RawMessage) (body, bool) {
	name, text := serviceWords(m, fields)
	if name == "" {
		return body{}, false
	}
	b, _ := words("", text, params{"type": name})
	b.kind = channels.Membership
	switch {
	case m.MigrateToChatID != 0:
		// The same group under a new number; both messages that Telegram sends about it link the two.
		b.group = identity(m.MigrateToChatID)
		b.data["to"] = fmt.Sprint(m.MigrateToChatID)
	case m.MigrateFromChatID != 0:
		b.group = identity(m.MigrateFromChatID)
		b.data["from"] = fmt.Sprint(m.MigrateFromChatID)
	}
	return b, true
}

func serviceWords(m *models.Message, fields map[string]json.RawMessage) (name, text string) {
	by := "Somebody"
	if m.From != nil {
		if n := fullName(m.From.FirstName, m.From.LastName); n != "" {
			by = n
		}
	}
	switch {
	case len(m.NewChatMembers) > 0:
		names := make([]string, 0, len(m.NewChatMembers))
		for _, u := range m.NewChatMembers[:min(len(m.NewChatMembers), 20)] {
			names = append(names, fullName(u.FirstName, u.LastName))
		}
		if len(m.NewChatMembers) == 1 && m.From != nil && m.NewChatMembers[0].ID == m.From.ID {
			return "new_chat_members", by + " joined the group"
		}
		return "new_chat_members", by + " added " + strings.Join(names, ", ")
	case m.LeftChatMember != nil:
		if m.From != nil && m.LeftChatMember.ID == m.From.ID {
			return "left_chat_member", by + " left the group"
		}
		return "left_chat_member", by + " removed " + fullName(m.LeftChatMember.FirstName, m.LeftChatMember.LastName)
	case m.NewChatTitle != "":
		return "new_chat_title", by + " changed the group's name to " + clean(m.NewChatTitle, maxName)
	case m.PinnedMessage != nil:
		return "pinned_message", by + " pinned a message" + pinned(m.PinnedMessage)
	case m.ForumTopicCreated != nil:
		return "forum_topic_created", by + " opened the topic " + clean(m.ForumTopicCreated.Name, maxName)
	case m.ProximityAlertTriggered != nil:
		return "proximity_alert_triggered", fmt.Sprintf("%s came within %d m of %s", fullName(m.ProximityAlertTriggered.Traveler.FirstName, m.ProximityAlertTriggered.Traveler.LastName),
			m.ProximityAlertTriggered.Distance, fullName(m.ProximityAlertTriggered.Watcher.FirstName, m.ProximityAlertTriggered.Watcher.LastName))
	case m.ConnectedWebsite != "":
		return "connected_website", by + " signed in on " + clean(m.ConnectedWebsite, maxName)
	}
	for field := range fields {
		if w := plainService(field); w != "" && (name == "" || field < name) {
			name, text = field, by+" "+w
		}
	}
	return name, text
}

// plainService are the events about which there is nothing more to say than what happened.
func plainService(field string) string {
	switch field {
	case "new_chat_photo":
		return "changed the group's picture"
	case "delete_chat_photo":
		return "removed the group's picture"
	case "group_chat_created", "supergroup_chat_created", "channel_chat_created":
		return "created the group"
	case "message_auto_delete_timer_changed":
		return "changed when messages are deleted by themselves"
	case "migrate_to_chat_id", "migrate_from_chat_id":
		return "turned the group into a supergroup"
	case "write_access_allowed":
		return "allowed the bot to write"
	case "boost_added":
		return "boosted the group"
	case "chat_background_set":
		return "changed the background of the chat"
	case "forum_topic_edited":
		return "changed a topic"
	case "forum_topic_closed", "general_forum_topic_hidden":
		return "closed a topic"
	case "forum_topic_reopened", "general_forum_topic_unhidden":
		return "opened a topic again"
	case "video_chat_scheduled", "voice_chat_scheduled":
		return "planned a video chat"
	case "video_chat_started", "voice_chat_started":
		return "started a video chat"
	case "video_chat_ended", "voice_chat_ended":
		return "ended the video chat"
	case "video_chat_participants_invited", "voice_chat_participants_invited":
		return "invited people to the video chat"
	case "giveaway_created":
		return "started a giveaway"
	case "giveaway_completed":
		return "ended a giveaway"
	case "checklist_tasks_done":
		return "marked tasks of a checklist"
	case "checklist_tasks_added":
		return "added tasks to a checklist"
	case "direct_message_price_changed", "paid_message_price_changed":
		return "changed the price of messages"
	case "chat_owner_left":
		return "left the group as its owner"
	case "chat_owner_changed":
		return "gave the group a new owner"
	case "suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined", "suggested_post_paid", "suggested_post_refunded":
		return "answered a suggested post"
	case "gift_upgrade_sent":
		return "paid for the upgrade of a gift"
	}
	return ""
}

func pinned(p *models.MaybeInaccessibleMessage) string {
	if p.Message == nil {
		return ""
	}
	text := p.Message.Text
	if text == "" {
		text = p.Message.Caption
	}
	if text == "" {
		return ""
	}
	return ": " + clean(text, 200)
}
