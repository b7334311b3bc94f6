package telegram_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

func TestConformancePoll(t *testing.T) { channelstest.Run(t, factory("poll")) }

func TestConformanceWebhook(t *testing.T) { channelstest.Run(t, factory("webhook")) }

func factory(mode string) channelstest.Factory {
	return func(t *testing.T) *channelstest.Peer {
		fake, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(fake.Close)
		fake.WebhookRetry = 20 * time.Millisecond
		user := fake.NewUser("Ada Lovelace", "en")
		bot := fake.Bot()
		p := &channelstest.Peer{
			Kind: telegram.Kind(),
			Account: channels.Account{ID: 7, Kind: telegram.Name, Settings: settings(t, map[string]string{
				"token": tgfake.Token, "api_url": fake.URL(), "mode": mode, "webhook_secret": "s3cret",
			})},
			Write:    func(text string) { user.Send(text) },
			Chat:     func() (string, json.RawMessage) { return strconv.FormatInt(user.ID, 10), nil },
			Received: user.Texts,
			Attempts: func() int { return fake.Calls("sendMessage") },
			Again:    bot.Redeliver,
			Reverse:  bot.Reverse,
			Limit: func(d time.Duration) {
				fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.RateLimit, RetryAfter: int(d.Seconds())})
			},
			Cut: func(applied bool) {
				kind := tgfake.CutBefore
				if applied {
					kind = tgfake.CutAfter
				}
				fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: kind})
			},
			Refuse: func() {
				fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Refuse, Code: 400, Description: "Bad Request: not enough rights to send text messages to the chat"})
			},
			Block: user.Block,
			WriteFile: func(size int64) func() io.Reader {
				user.SendFile("document", tgfake.Content{Size: size, Name: "photos.zip", Type: "application/zip"}, "")
				return func() io.Reader { return tgfake.Pattern(size) }
			},
			ForgetFiles: fake.ForgetAll,
			ReceivedSize: func() int64 {
				sent := user.Sent()
				if len(sent) == 0 || len(sent[len(sent)-1].Files) == 0 {
					return 0
				}
				return sent[len(sent)-1].Files[0].Size
			},
			LogOut: func() { fake.Revoke(tgfake.Token) },
			LogIn:  func() { fake.Restore(tgfake.Token) },
		}
		if mode == "poll" {
			p.Outage = func(on bool) {
				fake.ClearFaults()
				if on {
					fake.Fail(
						tgfake.Fault{Method: "getUpdates", Kind: tgfake.ServerError, Times: -1},
						tgfake.Fault{Kind: tgfake.ServerError, Times: -1},
					)
					fake.Bot().EndPolls()
				}
			}
			return p
		}
		// The webhook is served on an address of its own, by whichever node the test has started last.
		var current atomic.Pointer[http.Handler]
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h := current.Load(); h != nil {
				(*h).ServeHTTP(w, r)
				return
			}
			http.NotFound(w, r)
		}))
		web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the panic in the hub
		web.Start()
		t.Cleanup(web.Close)
		p.Account.BaseURL = web.URL
		p.Hooked = func(h http.Handler) { current.Store(&h) }
		// A revoked token is noticed with the next look at the webhook, a minute later at most.
		p.LogOut = nil
		return p
	}
}
