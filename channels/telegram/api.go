package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// callTimeout bounds a call without a file. Telegram answers in well under a second; a slow proxy gets the rest.
	callTimeout = 30 * time.Second
	// maxAnswer bounds an answer: 100 updates with long captions and many entities stay far below.
	maxAnswer = 32 << 20
)

// client speaks to one bot's Bot API.
type client struct {
	base  string // without a slash at the end
	token string
	http  *http.Client
}

func newClient(base, token string) *client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &client{base: base, token: token, http: &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 16,
			// Shorter than servers and proxies keep an idle connection: a request written to one that is just being
			// closed has an uncertain outcome.
			IdleConnTimeout: 20 * time.Second,
		},
		// The address contains the token; it is not carried to wherever a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// apiError is an answer of the Bot API that says no. The call surely had no effect.
type apiError struct {
	Method      string
	Code        int
	Description string
	RetryAfter  time.Duration
	MigrateTo   int64
}

func (e *apiError) Error() string {
	return fmt.Sprintf("telegram %s: %d %s", e.Method, e.Code, e.Description)
}

// callError is a call without a usable answer.
type callError struct {
	Method string
	// Unsent: Telegram surely did not get the whole request, so it had no effect. Otherwise nobody knows.
	Unsent bool
	// Local: the request could not be made, because a file of ours could not be read.
	Local bool
	Err   error // free of addresses
}

func (e *callError) Error() string { return "telegram " + e.Method + ": " + e.Err.Error() }
func (e *callError) Unwrap() error { return e.Err }

// params are the parameters of a method; values are marshalled as JSON.
type params map[string]any

// call runs a method without files. out may be nil.
func (c *client) call(ctx context.Context, method string, p params, out any) error {
	return c.callFor(ctx, callTimeout, method, p, out)
}

func (c *client) callFor(ctx context.Context, timeout time.Duration, method string, p params, out any) error {
	if p == nil {
		p = params{}
	}
	body, err := json.Marshal(p)
	if err != nil {
		return &callError{Method: method, Unsent: true, Err: fmt.Errorf("encode: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.do(ctx, method, "application/json", bytes.NewReader(body), out)
}

func (c *client) do(ctx context.Context, method, contentType string, body io.Reader, out any) error {
	var connected, wroteFailed atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			// The transport tries once more on a new connection when nothing could be written to a stale one; only
			// the last try counts.
			connected.Store(true)
			wroteFailed.Store(false)
		},
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err != nil {
				wroteFailed.Store(true)
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/bot"+c.token+"/"+method, body)
	if err != nil {
		return &callError{Method: method, Unsent: true, Err: errors.New("the address of the API is not usable")}
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return &callError{Method: method, Unsent: !connected.Load() || wroteFailed.Load(), Err: c.scrub(err)}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return &callError{Method: method, Err: c.scrub(err)}
	}
	if len(answer) > maxAnswer {
		return &callError{Method: method, Err: errors.New("the answer is too long")}
	}
	return parseAnswer(method, resp, answer, out)
}

func parseAnswer(method string, resp *http.Response, answer []byte, out any) error {
	var a struct {
		OK          *bool           `json:"ok"`
		Result      json.RawMessage `json:"result"`
		ErrorCode   int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter      int   `json:"retry_after"`
			MigrateToChatID int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.OK == nil {
		if resp.StatusCode >= 300 && resp.StatusCode < 500 {
			// Something before the API refused: a proxy with a size limit, a wrong address. It had no effect.
			return &apiError{Method: method, Code: resp.StatusCode, Description: http.StatusText(resp.StatusCode), RetryAfter: retryAfter(resp)}
		}
		return &callError{Method: method, Err: fmt.Errorf("the answer (HTTP %d) is not the Bot API's", resp.StatusCode)}
	}
	if !*a.OK {
		code := a.ErrorCode
		if code == 0 {
			code = resp.StatusCode
		}
		wait := time.Duration(a.Parameters.RetryAfter) * time.Second
		if wait == 0 {
			wait = retryAfter(resp)
		}
		return &apiError{Method: method, Code: code, Description: clean(a.Description, 500), RetryAfter: wait, MigrateTo: a.Parameters.MigrateToChatID}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.Result, out); err != nil {
		return &callError{Method: method, Err: fmt.Errorf("decode the result: %w", err)}
	}
	return nil
}

func retryAfter(resp *http.Response) time.Duration {
	s, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || s < 0 || s > 86400 {
		return 0
	}
	return time.Duration(s) * time.Second
}

// scrub takes the address, and with it the token, out of a transport error.
func (c *client) scrub(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if c.token != "" && strings.Contains(err.Error(), c.token) {
		return errors.New(strings.ReplaceAll(err.Error(), c.token, "***"))
	}
	return err
}
