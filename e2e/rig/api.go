package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// Client is somebody at the API: signed in by a cookie, or with a token.
type Client struct {
	Base   string
	Cookie string // name=value
	Token  string
	HTTP   *http.Client
	// Seen is shown the status and body of every answer, and every frame of the live feed with status 0, for tests that
	// look for what must never be in one; nil = nobody looks.
	Seen func(status int, answer []byte)
}

// Problem is an answer that says no.
type Problem struct {
	Status int
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Body   []byte `json:"-"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s", p.Status, p.Code, bytes.TrimSpace(p.Body))
}

// StatusOf is the status of a refusal, 0 when err is something else.
func StatusOf(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}

// NewClient is somebody who is not signed in yet.
func NewClient(base string) *Client {
	return &Client{Base: base, HTTP: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 300, MaxIdleConns: 300},
	}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }

// Login signs in.
func (c *Client) Login(ctx context.Context, email, password string) error {
	return c.Post(ctx, "/api/session", map[string]string{"email": email, "password": password}, nil)
}

// Get reads a path into out.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.JSON(ctx, http.MethodGet, path, nil, out)
}

// Post sends in to a path and reads the answer into out; nil = not looked at.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	return c.JSON(ctx, http.MethodPost, path, in, out)
}

// Patch changes a thing.
func (c *Client) Patch(ctx context.Context, path string, in, out any) error {
	return c.JSON(ctx, http.MethodPatch, path, in, out)
}

// JSON makes a request with a JSON body; in may be raw bytes.
func (c *Client) JSON(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		raw, ok := in.([]byte)
		if !ok {
			var err error
			if raw, err = json.Marshal(in); err != nil {
				return err
			}
		}
		body = bytes.NewReader(raw)
	}
	header := http.Header{}
	if in != nil {
		header.Set("Content-Type", "application/json")
	}
	answer, err := c.Do(ctx, method, path, header, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w: %.300s", method, path, err, answer)
	}
	return nil
}

// Do makes a request as this client. A status of 400 and more is a *Problem.
func (c *Client) Do(ctx context.Context, method, path string, header http.Header, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	c.sign(req.Header)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if c.Seen != nil {
		c.Seen(resp.StatusCode, answer)
	}
	if resp.StatusCode >= 400 {
		p := &Problem{Status: resp.StatusCode, Body: answer}
		_ = json.Unmarshal(answer, p) // it need not be one
		p.Status = resp.StatusCode
		return nil, p
	}
	for _, k := range resp.Cookies() {
		c.Cookie = k.Name + "=" + k.Value
	}
	return answer, nil
}

func (c *Client) sign(h http.Header) {
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+c.Token)
	} else if c.Cookie != "" {
		h.Set("Cookie", c.Cookie)
	}
}

// Upload sends a file for a message.
func (c *Client) Upload(ctx context.Context, name, kind string, data []byte) (Attachment, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, name)}, "Content-Type": {kind},
	})
	if err != nil {
		return Attachment{}, err
	}
	if _, err := part.Write(data); err != nil {
		return Attachment{}, err
	}
	if err := w.Close(); err != nil {
		return Attachment{}, err
	}
	answer, err := c.Do(ctx, http.MethodPost, "/api/uploads", http.Header{"Content-Type": {w.FormDataContentType()}}, &body)
	if err != nil {
		return Attachment{}, fmt.Errorf("upload %s: %w", name, err)
	}
	var a Attachment
	return a, json.Unmarshal(answer, &a)
}

// All reads a list to its end, page by page.
func All[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var out []T
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for cursor := ""; ; {
		var page struct {
			Items []T     `json:"items"`
			Next  *string `json:"next_cursor"`
		}
		p := path
		if cursor != "" {
			p += sep + "cursor=" + url.QueryEscape(cursor)
		}
		if err := c.Get(ctx, p, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == nil || *page.Next == "" {
			return out, nil
		}
		cursor = *page.Next
	}
}

// Timeline reads all of a conversation, oldest first.
func Timeline(ctx context.Context, c *Client, conversation string) ([]Item, error) {
	var out []Item
	for before := ""; ; {
		var page struct {
			Items []Item  `json:"items"`
			Prev  *string `json:"prev_cursor"`
		}
		path := "/api/conversations/" + conversation + "/timeline?limit=100"
		if before != "" {
			path += "&before=" + url.QueryEscape(before)
		}
		if err := c.Get(ctx, path, &page); err != nil {
			return nil, err
		}
		out = append(page.Items, out...)
		if page.Prev == nil || *page.Prev == "" {
			return out, nil
		}
		before = *page.Prev
	}
}
