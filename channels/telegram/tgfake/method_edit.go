package tgfake

import (
	"reflect"
	"strconv"
)

// own finds the bot's message that a call is about.
func (c *call) own(missing string) (*chat, *message, *apiError) {
	ch, err := c.destination()
	if err != nil {
		return nil, nil, err
	}
	m := ch.messages[int(c.p.int("message_id"))]
	if m == nil || m.deleted {
		return nil, nil, bad(missing)
	}
	return ch, m, nil
}

func editMessageText(c *call) (any, *apiError) {
	text, entities, err := c.p.formatted("text", "entities")
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, bad("message text is empty")
	}
	if units(text) > 4096 {
		return nil, bad("message is too long")
	}
	return c.edit("text", "entities", text, entities)
}

func editMessageCaption(c *call) (any, *apiError) {
	text, entities, err := c.p.formatted("caption", "caption_entities")
	if err != nil {
		return nil, err
	}
	if units(text) > 1024 {
		return nil, bad("message caption is too long")
	}
	return c.edit("caption", "caption_entities", text, entities)
}

func (c *call) edit(field, entitiesField, text string, entities []object) (any, *apiError) {
	ch, m, err := c.own("message to edit not found")
	if err != nil {
		return nil, err
	}
	if !m.byBot {
		return nil, bad("message can't be edited")
	}
	if (field == "text") != (m.kind == "text") {
		return nil, bad("there is no " + field + " in the message to edit")
	}
	old, _ := m.object[entitiesField].([]object)
	if m.object[field] == text && reflect.DeepEqual(old, entities) {
		return nil, bad("message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message")
	}
	m.object[field] = text
	delete(m.object, entitiesField)
	if len(entities) > 0 {
		m.object[entitiesField] = entities
	}
	m.object["edit_date"] = c.s.Now().Unix()
	m.edited = true
	c.announce(ch, m)
	return m.object, nil
}

func deleteMessage(c *call) (any, *apiError) {
	_, m, err := c.own("message to delete not found")
	if err != nil {
		return nil, err
	}
	m.deleted = true
	return true, nil
}

func deleteBusinessMessages(c *call) (any, *apiError) {
	biz := c.b.business[c.p.str("business_connection_id")]
	if biz == nil || !biz.enabled {
		return nil, bad("business connection not found")
	}
	var ids []int
	if !c.p.json("message_ids", &ids) || len(ids) == 0 {
		return nil, bad("message identifier is not specified")
	}
	for key, ch := range c.b.chats {
		if key.business != biz.ID {
			continue
		}
		for _, id := range ids {
			if m := ch.messages[id]; m != nil {
				m.deleted = true
			}
		}
	}
	return true, nil
}

func setMessageReaction(c *call) (any, *apiError) {
	_, m, err := c.own("message to react not found")
	if err != nil {
		return nil, err
	}
	var list []struct{ Type, Emoji string }
	if c.p.str("reaction") != "" && !c.p.json("reaction", &list) {
		return nil, bad("can't parse reaction types JSON object")
	}
	if len(list) > 1 {
		return nil, bad("REACTIONS_TOO_MANY")
	}
	var emojis []string
	for _, r := range list {
		if r.Type != "emoji" || !reactionAllowed(r.Emoji) {
			return nil, bad("REACTION_INVALID")
		}
		emojis = append(emojis, r.Emoji)
	}
	m.reaction = emojis
	return true, nil
}

func reactionAllowed(emoji string) bool {
	switch emoji {
	case "👍", "👎", "❤", "🔥", "🥰", "👏", "😁", "🤔", "🤯", "😱", "🤬", "😢", "🎉", "🤩", "🤮", "💩", "🙏", "👌", "🕊", "🤡", "🥱", "🥴", "😍", "🐳",
		"❤‍🔥", "🌚", "🌭", "💯", "🤣", "⚡", "🍌", "🏆", "💔", "🤨", "😐", "🍓", "🍾", "💋", "🖕", "😈", "😴", "😭", "🤓", "👻", "👨‍💻", "👀", "🎃", "🙈",
		"😇", "😨", "🤝", "✍", "🤗", "🫡", "🎅", "🎄", "☃", "💅", "🤪", "🗿", "🆒", "💘", "🙉", "🦄", "😘", "💊", "🙊", "😎", "👾", "🤷‍♂", "🤷", "🤷‍♀", "😡":
		return true
	}
	return false
}

func readBusinessMessage(c *call) (any, *apiError) {
	if c.p.str("business_connection_id") == "" {
		return nil, bad("business connection not found")
	}
	ch, m, err := c.own("message not found")
	if err != nil {
		return nil, err
	}
	c.b.actions = append(c.b.actions, strconv.FormatInt(ch.key.id, 10)+" read "+strconv.Itoa(m.id))
	return true, nil
}

func getBusinessConnection(c *call) (any, *apiError) {
	biz := c.b.business[c.p.str("business_connection_id")]
	if biz == nil {
		return nil, bad("business connection not found")
	}
	return biz.object(), nil
}
