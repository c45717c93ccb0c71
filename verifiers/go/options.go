package verifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const largestLeeway = time.Minute

// An Option is a setting of a [Verifier] other than its default.
type Option func(*config) error

// config has the settings of a verifier.
type config struct {
	rules               rules
	baseURL             string // without a trailing slash
	types               []tokenType
	acceptWithoutStatus bool
	cooldown            time.Duration
	timeout             time.Duration
	client              *http.Client
	now                 func() time.Time
	logger              *slog.Logger
	refusal             func(http.ResponseWriter, *http.Request, *Refusal)
}

func newConfig(issuer, audience string, options []Option) (*config, error) {
	if issuer == "" || audience == "" {
		return nil, errors.New("issuer and audience must not be empty")
	}
	c := &config{
		rules:    rules{issuer: issuer, audience: audience, leeway: 30 * time.Second},
		baseURL:  issuer,
		types:    []tokenType{typeAccessToken},
		cooldown: 30 * time.Second,
		timeout:  3 * time.Second,
		now:      time.Now,
		refusal:  func(w http.ResponseWriter, _ *http.Request, refusal *Refusal) { refusal.Write(w) },
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, err
		}
	}
	return c, c.checkBaseURL()
}

func (c *config) checkBaseURL() error {
	parsed, err := url.Parse(c.baseURL)
	if err != nil {
		return err
	}
	isHTTP := parsed.Scheme == "http" || parsed.Scheme == "https"
	if !isHTTP || parsed.Host == "" || parsed.ForceQuery || strings.ContainsAny(c.baseURL, "?#") {
		return fmt.Errorf("%q is not an http or https URL without query and fragment", parsed.Redacted())
	}
	c.baseURL = strings.TrimSuffix(c.baseURL, "/")
	return nil
}

// WithBaseURL sets the URL at which Signet is reachable, if it differs from the issuer, for example
// inside a cluster. Tokens must still have the issuer.
func WithBaseURL(baseURL string) Option {
	return func(c *config) error {
		c.baseURL = baseURL
		return nil
	}
}

// WithTypJWT also accepts tokens with typ JWT, not only at+jwt (RFC 9068 section 4), for an
// audience in SIGNET_TYP_JWT_AUDIENCES. ID tokens have the same typ, so a token with it must have
// client_id, jti and scope, and neither nonce nor at_hash. For at+jwt the requirements do not
// change.
func WithTypJWT() Option {
	return func(c *config) error {
		c.types = []tokenType{typeAccessToken, typeJWT}
		return nil
	}
}

// WithLeeway sets the accepted difference between the clocks: 30 seconds by default, at most 60.
func WithLeeway(leeway time.Duration) Option {
	return func(c *config) error {
		if leeway < 0 || leeway > largestLeeway {
			return fmt.Errorf("the leeway must be from 0 to %v", largestLeeway)
		}
		c.rules.leeway = leeway
		return nil
	}
}

// WithCooldown sets the minimum time from any fetch of the key set to one for tokens with unknown
// keys: 30 seconds by default. Anyone can invent such tokens.
func WithCooldown(cooldown time.Duration) Option {
	return func(c *config) error {
		if cooldown < 0 {
			return errors.New("the cool-down must not be negative")
		}
		c.cooldown = cooldown
		return nil
	}
}

// WithStatusUnavailableAccepted accepts tokens while their status is unavailable: a logout may then
// not take effect while Signet is unreachable. By default such tokens are not accepted.
func WithStatusUnavailableAccepted() Option {
	return func(c *config) error {
		c.acceptWithoutStatus = true
		return nil
	}
}

// WithTimeout sets the timeout of a fetch: 3 seconds by default.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) error {
		if timeout <= 0 {
			return errors.New("the timeout must be above 0")
		}
		c.timeout = timeout
		return nil
	}
}

// WithHTTPClient sets a client, for example with your proxies or certificates. The verifier's copy
// of it follows no redirects. Its transport must respect the context of a request.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error {
		if client == nil {
			return errors.New("the HTTP client must not be nil")
		}
		c.client = client
		return nil
	}
}

// WithLogger sets the logger for refusals at level INFO, and failed fetches at WARN. No part of a
// token is logged. By default it is the current [slog.Default].
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return errors.New("the logger must not be nil")
		}
		c.logger = logger
		return nil
	}
}

// WithClock replaces the system's clock, for tests.
func WithClock(now func() time.Time) Option {
	return func(c *config) error {
		if now == nil {
			return errors.New("the clock must not be nil")
		}
		c.now = now
		return nil
	}
}

// WithRefusalHandler sets the function that sends responses to refused requests: use status and
// header of the refusal. By default it is [Refusal.Write].
func WithRefusalHandler(answer func(http.ResponseWriter, *http.Request, *Refusal)) Option {
	return func(c *config) error {
		if answer == nil {
			return errors.New("the refusal handler must not be nil")
		}
		c.refusal = answer
		return nil
	}
}

func (c *config) log() *slog.Logger {
	if c.logger == nil {
		return slog.Default()
	}
	return c.logger
}

// logFailure returns a function that logs failed fetches. Because cached documents stay in use, the
// log may be the only sign that Signet is unreachable.
func (c *config) logFailure(name string) func(error) {
	return func(err error) {
		c.log().LogAttrs(context.Background(), slog.LevelWarn, "could not fetch "+name+": "+err.Error(),
			slog.String("document", name), slog.String("error", err.Error()))
	}
}

// withoutPassword returns a URL for the log.
func withoutPassword(fetched string) string {
	parsed, err := url.Parse(fetched)
	if err != nil {
		return "a URL"
	}
	return parsed.Redacted()
}
