package verifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// largestHead is in bytes: what the head of an answer may have.
const largestHead = 64 * 1024

var (
	notKept = regexp.MustCompile(`(?i)(?:^|[,\s])no-(?:cache|store)(?:$|[,\s=])`)
	maxAge  = regexp.MustCompile(`(?i)(?:^|[,\s])max-age\s*=\s*"?(\d+)`)
)

// A fetcher makes one GET at a time out of a question, with limits on everything that the other side
// decides.
type fetcher struct {
	client  *http.Client
	timeout time.Duration
}

// A question is what is asked for.
type question struct {
	url     string
	accept  string
	largest int64
	// etag is that of what is held, if it may be held on to.
	etag string
}

// An answer is what came back.
type answer struct {
	// unchanged: what is held is as good as new (RFC 9110 section 15.4.5). There is no body then.
	unchanged bool
	body      []byte
	etag      string
	// maxAge is Cache-Control: max-age, and 0 if nothing may be kept.
	maxAge    time.Duration
	hasMaxAge bool
}

// newFetcher makes a fetcher that follows no redirects, whatever the client does.
func newFetcher(client *http.Client, timeout time.Duration) *fetcher {
	if client == nil {
		client = &http.Client{Transport: ownTransport()}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &fetcher{&own, timeout}
}

// ownTransport is the program's default, where that is the standard library's, with a bound.
func ownTransport() http.RoundTripper {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	transport = transport.Clone()
	transport.MaxResponseHeaderBytes = largestHead
	return transport
}

// get asks, and reads all of the answer within the time-out.
func (f *fetcher) get(ctx context.Context, asked question) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	found, err := f.exchange(ctx, asked)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no answer within %v", f.timeout)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) { // it repeats the address, which may hold a password
		return nil, inURL.Err
	}
	return found, err
}

func (f *fetcher) exchange(ctx context.Context, asked question) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, asked.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", asked.accept)
	// What is not compressed cannot inflate.
	request.Header.Set("Accept-Encoding", "identity")
	if asked.etag != "" {
		request.Header.Set("If-None-Match", asked.etag)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	// Not read to its end, so that a long one ends the connection and nothing else.
	defer response.Body.Close()
	found := &answer{etag: response.Header.Get("ETag")}
	found.maxAge, found.hasMaxAge = lifetimeIn(response.Header)
	switch {
	case response.StatusCode == http.StatusNotModified && asked.etag != "":
		found.unchanged = true
		return found, nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", response.StatusCode)
	case !isIdentity(response.Header.Values("Content-Encoding")):
		return nil, errors.New("compressed, although that was not asked for")
	}
	found.body, err = readAtMost(response.Body, asked.largest)
	return found, err
}

func isIdentity(codings []string) bool {
	joined := strings.Join(codings, ", ")
	return joined == "" || strings.EqualFold(joined, "identity")
}

func readAtMost(body io.Reader, largest int64) ([]byte, error) {
	read, err := io.ReadAll(io.LimitReader(body, largest+1))
	if err != nil {
		return nil, err
	}
	if int64(len(read)) > largest {
		return nil, fmt.Errorf("longer than %d bytes", largest)
	}
	return read, nil
}

// lifetimeIn reads Cache-Control (RFC 9111 section 5.2.2). More seconds than can be counted are as
// good as endless.
func lifetimeIn(header http.Header) (lifetime time.Duration, found bool) {
	directives := strings.Join(header.Values("Cache-Control"), ", ")
	if notKept.MatchString(directives) {
		return 0, true
	}
	digits := maxAge.FindStringSubmatch(directives)
	if digits == nil {
		return 0, false
	}
	seconds, err := strconv.ParseInt(digits[1], 10, 64)
	if err != nil || seconds > int64(longestLifetime/time.Second) {
		return longestLifetime, true
	}
	return time.Duration(seconds) * time.Second, true
}
