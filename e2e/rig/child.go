package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// child is a process that we started. The kernel ends it with the thread that started it where it can do that, so the
// thread is kept until the process has ended.
type child struct {
	pid    int
	exited chan struct{}
	err    error // why; valid after exited
}

func startChild(c *exec.Cmd, death syscall.Signal) (*child, error) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setpgid = true // Ctrl-C reaches us alone
	dieWithUs(c.SysProcAttr, death)
	p := &child{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := c.Start()
		if err == nil {
			p.pid = c.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = c.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return p, nil
}

func (p *child) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// signal sends one, unless the process has ended: its number may be somebody else's by then.
func (p *child) signal(sig syscall.Signal) error {
	if !p.running() {
		return nil
	}
	return syscall.Kill(p.pid, sig)
}

// wait returns when the process has ended.
func (p *child) wait(ctx context.Context) error {
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process %d does not end: %w", p.pid, ctx.Err())
	}
}

// Run runs a command that starts processes of its own to its end. When ctx ends it is interrupted, so that it ends them.
func Run(ctx context.Context, c *exec.Cmd) error {
	p, err := startChild(c, syscall.SIGINT)
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		return errors.Join(err, syscall.Kill(-p.pid, syscall.SIGKILL))
	}
	return p.err
}
