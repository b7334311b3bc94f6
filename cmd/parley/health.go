package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

func healthCommand() command {
	return command{name: "health", help: "ask the running server whether it is ready (exit code 0)", run: health}
}

// health asks the server that these settings would start. Containers call it, so it needs nothing but the address.
func health(ctx context.Context, c call) error {
	host, port, err := net.SplitHostPort(c.cfg.Listen)
	if err != nil {
		return fmt.Errorf("PARLEY_LISTEN: %w", err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	text := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server is not ready: %s %s", resp.Status, text)
	}
	_, err = fmt.Fprintln(c.out, text)
	return err
}
