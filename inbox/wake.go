package inbox

import (
	"strconv"

	"github.com/parley-hub/parley/internal/bus"
)

// Hints on the bus: lost ones cost a second, for whoever waits for them also looks once a second.
const (
	subjectOutbox = "outbox." // + channel id: something is queued for delivery
	subjectMedia  = "media."  // + channel id: something is to be fetched
)

func wakeOutbox(b bus.Bus, channelID int64) { wake(b, subjectOutbox, channelID) }

func wakeMedia(b bus.Bus, channelID int64) { wake(b, subjectMedia, channelID) }

// wake may fail with the bus away; the row is committed and the second's look finds it.
func wake(b bus.Bus, subject string, channelID int64) {
	_ = b.Publish(subject+strconv.FormatInt(channelID, 10), nil)
}
