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

// config is what a verifier was told.
type config struct {
	rules               rules
	baseURL             string // without a final slash
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
	address, err := url.Parse(c.baseURL)
	if err != nil {
		return err
	}
	isHTTP := address.Scheme == "http" || address.Scheme == "https"
	if !isHTTP || address.Host == "" || address.ForceQuery || strings.ContainsAny(c.baseURL, "?#") {
		return fmt.Errorf("%q is no http or https address without query and fragment", address.Redacted())
	}
	c.baseURL = strings.TrimSuffix(c.baseURL, "/")
	return nil
}

// WithBaseURL sets where Signet is reached if not at the issuer, such as under another name inside a
// cluster. Tokens are compared with the issuer all the same.
func WithBaseURL(address string) Option {
	return func(c *config) error {
		c.baseURL = address
		return nil
	}
}

// WithTypJWT accepts tokens with typ JWT too, not at+jwt alone (RFC 9068 section 4): for an audience
// that Signet was told to sign such tokens for (SIGNET_TYP_JWT_AUDIENCES). ID tokens have the same
// typ, so a token that has it must have client_id, jti and scope, and neither nonce nor at_hash.
// Nothing more is asked of at+jwt.
func WithTypJWT() Option {
	return func(c *config) error {
		c.types = []tokenType{typeAccessToken, typeJWT}
		return nil
	}
}

// WithLeeway sets by how much the clocks may differ: 30 seconds unless set, at most 60.
func WithLeeway(leeway time.Duration) Option {
	return func(c *config) error {
		if leeway < 0 || leeway > largestLeeway {
			return fmt.Errorf("the leeway must be from 0 to %v", largestLeeway)
		}
		c.rules.leeway = leeway
		return nil
	}
}

// WithCooldown sets the least time between two fetches of the key set for tokens that name unknown
// keys: 30 seconds unless set. Anybody can make up such tokens.
func WithCooldown(cooldown time.Duration) Option {
	return func(c *config) error {
		if cooldown < 0 {
			return errors.New("the cool-down must not be negative")
		}
		c.cooldown = cooldown
		return nil
	}
}

// WithStatusUnavailableAccepted has a token count as valid while its status cannot be had: a logout
// may then not arrive while Signet cannot be reached. Unless set, such a token is not accepted.
func WithStatusUnavailableAccepted() Option {
	return func(c *config) error {
		c.acceptWithoutStatus = true
		return nil
	}
}

// WithTimeout sets after how long a fetch is given up: 3 seconds unless set.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) error {
		if timeout <= 0 {
			return errors.New("the time-out must be above 0")
		}
		c.timeout = timeout
		return nil
	}
}

// WithHTTPClient sets a client with proxies or certificates of your own. It follows no redirects
// here, whatever it does elsewhere; its transport must heed the context of a request.
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error {
		if client == nil {
			return errors.New("the HTTP client must not be nil")
		}
		c.client = client
		return nil
	}
}

// WithLogger sets where refusals are written at level INFO, and fetches that fail at WARN; nothing of
// a token is. Unless set, it is [slog.Default] at that time.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return errors.New("the logger must not be nil")
		}
		c.logger = logger
		return nil
	}
}

// WithClock sets another clock, for tests.
func WithClock(now func() time.Time) Option {
	return func(c *config) error {
		if now == nil {
			return errors.New("the clock must not be nil")
		}
		c.now = now
		return nil
	}
}

// WithRefusalHandler has the middleware answer with a body of your own: take status and header from
// the refusal. Unless set, it is [Refusal.Write].
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

// logFailure makes what is told of fetches that fail: nothing else may show it, since what is held
// stays in use.
func (c *config) logFailure(name string) func(error) {
	return func(err error) {
		c.log().LogAttrs(context.Background(), slog.LevelWarn, "could not fetch "+name+": "+err.Error(),
			slog.String("document", name), slog.String("error", err.Error()))
	}
}

// withoutPassword is how an address is shown.
func withoutPassword(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address"
	}
	return parsed.Redacted()
}
