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
	// defaultLifetime is of what does not say how long it may be kept.
	defaultLifetime = 5 * time.Minute
	// retryPause is from a fetch that failed to the next attempt.
	retryPause = 5 * time.Second
	// retryPauseWithoutKeys holds while there are no keys at all, and so nothing works.
	retryPauseWithoutKeys = time.Second
	// patience is how long a fetch is waited for, from its start, by who could go on with what is
	// held.
	patience = time.Second
)

var errPanic = errors.New("the fetch panicked")

// A source is where a document comes from, and the rules that hold for it.
type source[T any] struct {
	question question
	// read refuses a body that is not to be believed.
	read func(body []byte) (T, error)
	// lifetime is after how long the document is fetched again; before is what held until now, for
	// answers that do not say.
	lifetime func(value T, found *answer, before time.Duration) time.Duration
	// hasExpired: it must not be used any more, however often it is confirmed.
	hasExpired func(value T, now time.Time) bool
	// outlivesFailures: it may be used beyond its lifetime while it cannot be fetched again.
	outlivesFailures func(value T) bool
	// pauseWhileEmpty is the pause after a failure while nothing is held.
	pauseWhileEmpty time.Duration
	// failed is told of each fetch that failed.
	failed func(error)
}

// A document is kept in memory and fetched again when it is old: by one goroutine at a time, for
// which everybody waits who needs it, and briefly who might. A fetch that fails keeps what is held.
//
// Ages are differences of what now returns. The system's clock has a monotonic reading, so that a
// host whose time of day is set neither keeps anything for years nor fetches without end.
type document[T any] struct {
	source  source[T]
	fetcher *fetcher
	now     func() time.Time

	// held is replaced as a whole: what Signet has withdrawn is gone from it. Reading takes no lock.
	held atomic.Pointer[held[T]]

	mu      sync.Mutex
	flight  *flight // the fetch under way
	beganAt time.Time
	retryAt time.Time
	failure error // of the last fetch
}

// held is what was fetched last.
type held[T any] struct {
	value    T
	etag     string
	lifetime time.Duration
	// since is when it was asked for: what happened later may not be in it.
	since time.Time
}

// A flight is a fetch under way.
type flight struct {
	began  time.Time // on the system's clock, whatever clock the verifier has
	landed chan struct{}
}

// get returns what may be used now, fetched first if it is time; nil if there is nothing. The error
// is that of ctx.
func (d *document[T]) get(ctx context.Context) (*held[T], error) {
	if current := d.held.Load(); d.isFresh(current) {
		return current, nil
	}
	if fetch := d.fetchIf(0, func() bool { return !d.isFresh(d.held.Load()) }); fetch != nil {
		var err error
		if d.usable() != nil {
			err = fetch.awaitBriefly(ctx)
		}
		if err == nil && d.usable() == nil {
			err = fetch.await(ctx)
		}
		if err != nil && d.usable() == nil {
			return nil, err
		}
	}
	return d.usable(), nil
}

// look waits for the fetch under way, or for one of its own if the last one began cooldown ago. The
// error is that of ctx.
func (d *document[T]) look(ctx context.Context, cooldown time.Duration) error {
	if fetch := d.fetchIf(cooldown, func() bool { return true }); fetch != nil {
		return fetch.await(ctx)
	}
	return nil
}

// usable returns what is held if it may be used now, fresh or not.
func (d *document[T]) usable() *held[T] {
	current := d.held.Load()
	if current == nil || d.source.hasExpired(current.value, d.now()) {
		return nil
	}
	if d.source.outlivesFailures(current.value) || d.isFresh(current) {
		return current
	}
	return nil
}

func (d *document[T]) isFresh(current *held[T]) bool {
	if current == nil {
		return false
	}
	now := d.now()
	return now.Sub(current.since) < current.lifetime && !d.source.hasExpired(current.value, now)
}

// lastFailure tells why the last fetch failed; nil if it did not.
func (d *document[T]) lastFailure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// fetchIf returns the fetch under way, or begins one if it is needed and may begin: once the pause
// after a failure is over and the last one began cooldown ago. Else it returns nil.
func (d *document[T]) fetchIf(cooldown time.Duration, isNeeded func() bool) *flight {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.flight != nil {
		return d.flight
	}
	now := d.now()
	// Needed still: another goroutine's fetch may have landed since the caller looked.
	if !isNeeded() || now.Before(d.retryAt) || now.Sub(d.beganAt) < cooldown {
		return nil
	}
	d.beganAt = now
	d.flight = &flight{began: time.Now(), landed: make(chan struct{})}
	go d.fly(d.flight, now)
	return d.flight
}

// fly fetches for all who wait. It runs in a goroutine of its own, under no request's context: who
// goes away must not take from others what they wait for.
func (d *document[T]) fly(flight *flight, since time.Time) {
	var fetched *held[T]
	err := errPanic
	defer func() { d.land(flight, fetched, err) }()
	defer func() {
		// A transport that panics must not end the program: here, net/http recovers nothing.
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", errPanic, cause)
		}
		if err != nil {
			d.source.failed(err)
		}
	}()
	fetched, err = d.fetch(since)
}

// land takes what a fetch has brought, and ends it.
func (d *document[T]) land(flight *flight, fetched *held[T], err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
	if err == nil {
		d.held.Store(fetched)
	} else {
		pause := retryPause
		if d.held.Load() == nil {
			pause = d.source.pauseWhileEmpty
		}
		d.retryAt = d.now().Add(pause)
	}
	d.flight = nil
	close(flight.landed)
}

func (d *document[T]) fetch(since time.Time) (*held[T], error) {
	known := d.held.Load()
	if known != nil && d.source.hasExpired(known.value, d.now()) {
		known = nil // being told that it is unchanged would be of no use
	}
	asked, before := d.source.question, defaultLifetime
	if known != nil {
		asked.etag, before = known.etag, known.lifetime
	}
	found, err := d.fetcher.get(context.Background(), asked)
	if err != nil {
		return nil, err
	}
	if found.unchanged {
		lifetime := d.source.lifetime(known.value, found, before)
		return &held[T]{known.value, known.etag, lifetime, since}, nil
	}
	value, err := d.source.read(found.body)
	if err != nil {
		return nil, err
	}
	lifetime := d.source.lifetime(value, found, defaultLifetime)
	return &held[T]{value, found.etag, lifetime, since}, nil
}

// await waits until the fetch has landed, or ctx has ended.
func (f *flight) await(ctx context.Context) error {
	select {
	case <-f.landed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitBriefly waits no longer than until patience is over.
func (f *flight) awaitBriefly(ctx context.Context) error {
	left := patience - time.Since(f.began)
	if left <= 0 {
		return nil
	}
	over := time.NewTimer(left)
	defer over.Stop()
	select {
	case <-f.landed:
		return nil
	case <-over.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
