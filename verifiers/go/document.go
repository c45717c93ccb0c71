package verifier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultLifetime applies to responses that do not specify a lifetime.
	defaultLifetime = 5 * time.Minute
	// retryPause is the time from a failed fetch to the next attempt.
	retryPause = 5 * time.Second
	// retryPauseWithoutKeys applies while there are no keys, so no token can be verified.
	retryPauseWithoutKeys = time.Second
	// staleWait is how long callers that can use the cached copy wait for a fetch, from its start.
	staleWait = time.Second
)

var errPanic = errors.New("the fetch panicked")

// A source is the source of a document, and the rules for caching it.
type source[T any] struct {
	target fetchTarget
	// read parses a body, and refuses an invalid one.
	read func(body []byte) (T, error)
	// lifetime returns the time until the document is fetched again. before is the previous lifetime,
	// for responses that do not specify one.
	lifetime func(value T, result *fetchResult, before time.Duration) time.Duration
	// hasExpired reports whether the value must not be used any more, even if it is revalidated.
	hasExpired func(value T, now time.Time) bool
	// usableWhenStale reports whether the value may be used after its lifetime while fetches fail.
	usableWhenStale func(value T) bool
	// pauseWithoutEntry is the pause after a failure while nothing is cached.
	pauseWithoutEntry time.Duration
	// failed is called after each failed fetch.
	failed func(error)
}

// A document is cached in memory and fetched again when it is stale, by one goroutine at a time.
// Callers that need the result wait for the fetch; callers that can use the cached copy wait
// briefly. A failed fetch does not change the cached copy.
//
// Ages are differences of what now returns. The system's clock has a monotonic reading, so setting
// the host's clock neither keeps a copy for years nor causes endless fetches.
type document[T any] struct {
	source  source[T]
	fetcher *fetcher
	now     func() time.Time

	// cached is replaced as a whole, so that withdrawn keys go, too. Reading it takes no lock.
	cached atomic.Pointer[cacheEntry[T]]

	mu        sync.Mutex
	pending   *pendingFetch // the fetch in progress
	startedAt time.Time
	retryAt   time.Time
	failure   error // of the last fetch
}

// A cacheEntry is the last fetched value.
type cacheEntry[T any] struct {
	value    T
	etag     string
	lifetime time.Duration
	// fetchedAt is when the fetch started: the value may lack later changes.
	fetchedAt time.Time
}

// A pendingFetch is a fetch in progress.
type pendingFetch struct {
	started time.Time // on the system's clock, even if the verifier has another
	done    chan struct{}
}

// get returns the usable value, and fetches it first if it is stale; nil if there is none. The
// error is that of ctx.
func (d *document[T]) get(ctx context.Context) (*cacheEntry[T], error) {
	if current := d.cached.Load(); d.isFresh(current) {
		return current, nil
	}
	if fetch := d.startOrJoinFetch(0, func() bool { return !d.isFresh(d.cached.Load()) }); fetch != nil {
		var err error
		if d.usable() != nil {
			err = fetch.waitBriefly(ctx)
		}
		if err == nil && d.usable() == nil {
			err = fetch.wait(ctx)
		}
		if err != nil && d.usable() == nil {
			return nil, err
		}
	}
	return d.usable(), nil
}

// refresh waits for the fetch in progress, or for a new one if the last fetch started at least
// cooldown ago. The error is that of ctx.
func (d *document[T]) refresh(ctx context.Context, cooldown time.Duration) error {
	if fetch := d.startOrJoinFetch(cooldown, func() bool { return true }); fetch != nil {
		return fetch.wait(ctx)
	}
	return nil
}

// usable returns the cached value if it may be used, fresh or stale.
func (d *document[T]) usable() *cacheEntry[T] {
	current := d.cached.Load()
	if current == nil || d.source.hasExpired(current.value, d.now()) {
		return nil
	}
	if d.source.usableWhenStale(current.value) || d.isFresh(current) {
		return current
	}
	return nil
}

func (d *document[T]) isFresh(current *cacheEntry[T]) bool {
	if current == nil {
		return false
	}
	now := d.now()
	return now.Sub(current.fetchedAt) < current.lifetime && !d.source.hasExpired(current.value, now)
}

// lastFailure returns the error of the last fetch; nil if it succeeded.
func (d *document[T]) lastFailure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// startOrJoinFetch returns the fetch in progress, or starts one if it is needed, the pause after a
// failure is over, and the last fetch started at least cooldown ago. Otherwise it returns nil.
func (d *document[T]) startOrJoinFetch(cooldown time.Duration, isNeeded func() bool) *pendingFetch {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending != nil {
		return d.pending
	}
	now := d.now()
	// Checked again: another goroutine's fetch may have completed since the caller's check.
	if !isNeeded() || now.Before(d.retryAt) || now.Sub(d.startedAt) < cooldown {
		return nil
	}
	d.startedAt = now
	d.pending = &pendingFetch{started: time.Now(), done: make(chan struct{})}
	go d.run(d.pending, now)
	return d.pending
}

// run fetches for all waiting callers. It runs in a separate goroutine, not under a request's
// context: a cancelled request must not cancel the fetch for other callers.
func (d *document[T]) run(fetch *pendingFetch, fetchedAt time.Time) {
	var fetched *cacheEntry[T]
	err := errPanic
	defer func() { d.finish(fetch, fetched, err) }()
	defer func() {
		// A panic of the transport must not end the program; net/http does not recover it here.
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", errPanic, cause)
		}
		if err != nil {
			d.source.failed(err)
		}
	}()
	fetched, err = d.fetch(fetchedAt)
}

// finish stores the result of a fetch and wakes the waiting callers.
func (d *document[T]) finish(fetch *pendingFetch, fetched *cacheEntry[T], err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
	if err == nil {
		d.cached.Store(fetched)
	} else {
		pause := retryPause
		if d.cached.Load() == nil {
			pause = d.source.pauseWithoutEntry
		}
		d.retryAt = d.now().Add(pause)
	}
	d.pending = nil
	close(fetch.done)
}

func (d *document[T]) fetch(fetchedAt time.Time) (*cacheEntry[T], error) {
	known := d.cached.Load()
	if known != nil && d.source.hasExpired(known.value, d.now()) {
		known = nil // a 304 would be useless
	}
	target, before := d.source.target, defaultLifetime
	if known != nil {
		target.etag, before = known.etag, known.lifetime
	}
	result, err := d.fetcher.get(context.Background(), target)
	if err != nil {
		return nil, err
	}
	if result.notModified {
		lifetime := d.source.lifetime(known.value, result, before)
		return &cacheEntry[T]{known.value, known.etag, lifetime, fetchedAt}, nil
	}
	value, err := d.source.read(result.body)
	if err != nil {
		return nil, err
	}
	lifetime := d.source.lifetime(value, result, defaultLifetime)
	return &cacheEntry[T]{value, result.etag, lifetime, fetchedAt}, nil
}

// wait waits until the fetch is done, or ctx has ended.
func (f *pendingFetch) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitBriefly waits until the fetch is done, staleWait is over, or ctx has ended.
func (f *pendingFetch) waitBriefly(ctx context.Context) error {
	left := staleWait - time.Since(f.started)
	if left <= 0 {
		return nil
	}
	over := time.NewTimer(left)
	defer over.Stop()
	select {
	case <-f.done:
		return nil
	case <-over.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
