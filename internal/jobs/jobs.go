// Package jobs is the house's background work that needs no channel: webhooks out, exports, retention, periodic chores.
// It is a thin layer over River on the same Postgres.
//
// Invariants. A job enqueued by InsertTx exists exactly when the transaction committed. Work is done at least once: a
// worker must be able to do the same thing again. A periodic job is inserted by one node, the elected one.
//
// Failure. A worker's error, or its panic, is logged and the job is tried again with growing pauses, 25 times over about
// three weeks; then it stays in river_job as discarded. A killed node's jobs are picked up by another after an hour, or
// by itself.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// The queues. Periodic work has its own, so that a backlog does not delay it; what may take longer than a second goes to
// Slow, so that it does not delay the rest. MEASURED: with one queue a job of every second ran 7 times in 26 s while
// 10,000 others waited.
const (
	Default  = river.QueueDefault
	Slow     = "slow"
	periodic = "periodic"
)

const (
	// fetchCooldown: River takes MaxWorkers jobs per cooldown; with its default of 100 ms a job waits 51 ms, with 10 ms 2.
	fetchCooldown = 10 * time.Millisecond
	// stopTimeout bounds how long Run waits for working jobs after ctx ended; the whole program has ten seconds.
	stopTimeout = 5 * time.Second
)

// Args says which job it is (Kind) and what it needs; it is stored as JSON. With a method InsertOpts it chooses its
// queue, uniqueness and attempts.
type Args = river.JobArgs

// Opts is what a method InsertOpts of Args returns.
type Opts = river.InsertOpts

// Worker is one kind of work of a room.
type Worker struct {
	add   func(*river.Workers) error
	every *river.PeriodicJob
}

// Work does a kind of job that is enqueued by InsertTx. Over timeout, ctx ends; 0 = a minute.
func Work[T Args](timeout time.Duration, fn func(ctx context.Context, args T) error) Worker {
	return Worker{add: func(w *river.Workers) error {
		return river.AddWorkerSafely(w, &worker[T]{timeout: timeout, fn: fn})
	}}
}

// Every does a chore again and again, first when the program starts. A round that is still waiting or working when the
// next one is due is not doubled.
func Every[T Args](interval time.Duration, args T, fn func(ctx context.Context) error) Worker {
	w := Work(interval, func(ctx context.Context, _ T) error { return fn(ctx) })
	opts := &river.InsertOpts{Queue: periodic, MaxAttempts: 3, UniqueOpts: river.UniqueOpts{ByState: unfinished}}
	w.every = river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return args, opts },
		&river.PeriodicJobOpts{RunOnStart: true})
	return w
}

var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

type worker[T Args] struct {
	river.WorkerDefaults[T]
	timeout time.Duration
	fn      func(ctx context.Context, args T) error
}

func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error { return w.fn(ctx, job.Args) }
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration               { return w.timeout }

// InsertTx enqueues a job in tx.
func InsertTx(ctx context.Context, tx pgx.Tx, args Args) error {
	// A client that only inserts holds no connection and no goroutine; making one costs a few microseconds.
	c, err := river.NewClient(riverpgxv5.New(nil), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	if _, err := c.InsertTx(ctx, tx, args, nil); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
	}
	return nil
}

// Runner works the jobs of all rooms on this node.
type Runner struct {
	client *river.Client[pgx.Tx]
}

// New collects the rooms' workers. A node that may be busy with many connections should give pool room for them: a
// working job holds none by itself.
func New(pool *pgxpool.Pool, log *slog.Logger, workers ...Worker) (*Runner, error) {
	registered, every := river.NewWorkers(), []*river.PeriodicJob(nil)
	for _, w := range workers {
		if err := w.add(registered); err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		if w.every != nil {
			every = append(every, w.every)
		}
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues: map[string]river.QueueConfig{
			Default:  {MaxWorkers: 100},
			Slow:     {MaxWorkers: 4},
			periodic: {MaxWorkers: 4},
		},
		FetchCooldown: fetchCooldown,
		// River's own messages below a warning are about its rounds, not about our work.
		Logger:       slog.New(atLeastWarn{log.Handler()}),
		ErrorHandler: reporter{log},
		PeriodicJobs: every,
		Workers:      registered,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Runner{client: client}, nil
}

// Run works jobs until ctx ends, then lets the working ones finish for a while.
func (r *Runner) Run(ctx context.Context) error {
	// River is started with a context that outlives ctx, for with its own it would cut working jobs off at once.
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := r.client.Stop(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = r.client.StopAndCancel(last)
	}
	if err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

// reporter logs what River would keep in its table only. Arguments of jobs stay out of the log.
type reporter struct{ log *slog.Logger }

func (r reporter) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	r.log.WarnContext(ctx, "job failed", "kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "err", err)
	return nil
}

func (r reporter) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	r.log.ErrorContext(ctx, "job panicked", "kind", job.Kind, "job_id", job.ID, "attempt", job.Attempt, "panic", value, "trace", trace)
	return nil
}

// atLeastWarn drops what is below a warning.
type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h atLeastWarn) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(attrs)}
}

func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}

// SettleSQL runs at the end of restoring a backup: jobs that were being worked on then are nobody's now.
const SettleSQL = `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE state = 'running'`
