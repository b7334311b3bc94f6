package webform

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func FuzzSubmission(f *testing.F) {
	for _, seed := range [][2]string{
		{"application/x-www-form-urlencoded", "name=Ada&message=%D0%BF%00&_first=%7B%7D"},
		{"application/json", `{"name":"Ada","_last":{"page":"https://a.test/#x"},"terms":true,"n":1e400}`},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--x--\r\n"},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"\xff\"; filename=\"a\"\r\n\r\nAda"},
	} {
		f.Add(seed[0], seed[1])
	}
	set := settings{Fields: []field{{Name: "name", Label: "Name", Type: typeText}, {Name: "phone", Label: "Phone", Type: typePhone}}, Language: "en"}
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest(http.MethodPost, "/forms/x", nil)
		r.Header.Set("Content-Type", kind)
		sub, err := readSubmission(r, []byte(body))
		if err != nil {
			return
		}
		answers, wrong := set.judge(sub)
		if len(answers) == 0 && len(wrong) == 0 {
			t.Fatal("neither answers nor a complaint")
		}
		in := set.inbound(sub, answers, challenge{}, time.Now())
		if !utf8.ValidString(in.Text) || strings.ContainsRune(in.Text, 0) || in.EventKey == "" || len(in.Data) > maxData || len(in.Attribution) > 20 {
			t.Fatalf("%+v", in)
		}
	})
}
