package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
	"github.com/parley-hub/parley/e2e/rig"
)

// Files come through as they are, in both directions.
func TestMedia(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	telegram(t, w, nil)
	photo, voice := picture(t), append([]byte("OggS\x00\x02"), bytes.Repeat([]byte{7, 1, 9}, 3000)...)
	const big = 20 << 20 // as much as a bot may fetch
	user := w.Fake.NewUser("Sara Bekele", "am")
	user.SendPhoto(photo, "a caption")
	user.SendVoice(voice, 3)
	user.SendFile("document", tgfake.Content{Size: big, Name: "отчёт <1>.pdf", Type: "application/pdf"}, "")
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))

	files := map[string]rig.Attachment{}
	check(t, rig.Until(ctx, "the files are here", rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, w.Admin, conv.ID)
		for _, i := range items {
			for _, a := range i.Attachments {
				if a.State == "ok" {
					files[i.Content] = a
				} else if a.State != "pending" {
					t.Fatalf("%s is %s: %s", a.Name, a.State, a.Error)
				}
			}
		}
		return len(files) == 3, err
	}))
	want, err := io.ReadAll(tgfake.Pattern(big))
	check(t, err)
	for content, data := range map[string][]byte{"photo": photo, "voice": voice, "document": want} {
		a := files[content]
		resp, got := fetch(t, w.Admin, a.URL, "")
		if !bytes.Equal(got, data) || a.Size != int64(len(data)) {
			t.Errorf("%s has %d bytes, says %d, want %d", content, len(got), a.Size, len(data))
		}
		for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Content-Disposition"} {
			if resp.Header.Get(h) == "" {
				t.Errorf("%s comes without %s", content, h)
			}
		}
		resp, got = fetch(t, w.Admin, a.URL, "bytes=100-199")
		if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, data[100:200]) {
			t.Errorf("a range of %s = %s, %d bytes", content, resp.Status, len(got))
		}
	}
	if d := files["document"]; d.Name != "отчёт <1>.pdf" {
		t.Errorf("the document is called %q", d.Name)
	}
	if files["photo"].PreviewURL == nil {
		t.Fatal("the photo has no preview")
	}
	resp, small := fetch(t, w.Admin, *files["photo"].PreviewURL, "")
	if pic, _, err := image.Decode(bytes.NewReader(small)); err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "image/") || pic.Bounds().Dx() == 0 {
		t.Errorf("the preview is %s, %d bytes: %v", resp.Header.Get("Content-Type"), len(small), err)
	}
	if resp, _ := fetch(t, w.Client(), files["photo"].URL, ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger gets the photo: %s", resp.Status)
	}

	// And out.
	doc := bytes.Repeat([]byte("offer for Sara, not HTML: <b>\n"), 5000)
	up := must[rig.Attachment](t)(w.Admin.Upload(ctx, "offer.txt", "text/html", doc))
	pic := must[rig.Attachment](t)(w.Admin.Upload(ctx, "blue.jpg", "image/jpeg", photo))
	_ = must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "our offer", map[string]any{"attachments": []string{up.ID}}))
	_ = must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "", map[string]any{"attachments": []string{pic.ID}}))
	check(t, rig.Until(ctx, "the files arrive", rig.Patience, func() (bool, error) {
		got := map[string]bool{}
		for _, m := range user.Sent() {
			for _, f := range m.Files {
				got[f.SHA256] = true
			}
		}
		return got[sum(doc)] && got[sum(photo)], nil
	}))
	// An upload is its uploader's alone until a message names it, and then nobody else's to use.
	if _, err := rig.Say(ctx, w.Admin, conv.ID, "again", map[string]any{"attachments": []string{up.ID}}); rig.StatusOf(err) < 400 {
		t.Errorf("a file was sent twice: %v", err)
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 1280, 960))
	for x := range 1280 {
		for y := range 960 {
			img.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	check(t, jpeg.Encode(&b, img, nil))
	return b.Bytes()
}

// fetch gets a file as it is.
func fetch(t *testing.T, c *rig.Client, path, ranges string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.Base+path, http.NoBody)
	check(t, err)
	req.Header.Set("Cookie", c.Cookie)
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := c.HTTP.Do(req)
	check(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp, b
}
