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

// maxResponseHeaderBytes is the maximum size of a response's header.
const maxResponseHeaderBytes = 64 * 1024

var (
	notCacheable = regexp.MustCompile(`(?i)(?:^|[,\s])no-(?:cache|store)(?:$|[,\s=])`)
	maxAge       = regexp.MustCompile(`(?i)(?:^|[,\s])max-age\s*=\s*"?(\d+)`)
)

// A fetcher sends GET requests, with limits on the size and time of the response.
type fetcher struct {
	client  *http.Client
	timeout time.Duration
}

// A fetchTarget is the document to fetch.
type fetchTarget struct {
	url     string
	accept  string
	largest int64
	// etag is that of the cached copy, if a 304 is acceptable.
	etag string
}

// A fetchResult is a successful response.
type fetchResult struct {
	// notModified means that the cached copy is still valid (RFC 9110 section 15.4.5); body is empty.
	notModified bool
	body        []byte
	etag        string
	// maxAge is Cache-Control: max-age, and 0 if the response must not be cached.
	maxAge    time.Duration
	hasMaxAge bool
}

// newFetcher returns a fetcher that follows no redirects, even if the client does.
func newFetcher(client *http.Client, timeout time.Duration) *fetcher {
	if client == nil {
		client = &http.Client{Transport: defaultTransport()}
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &fetcher{&own, timeout}
}

// defaultTransport is http.DefaultTransport, with a limit on headers if it is an [http.Transport].
func defaultTransport() http.RoundTripper {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	transport = transport.Clone()
	transport.MaxResponseHeaderBytes = maxResponseHeaderBytes
	return transport
}

// get sends the request, and reads the whole response within the timeout.
func (f *fetcher) get(ctx context.Context, target fetchTarget) (*fetchResult, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	result, err := f.exchange(ctx, target)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no response within %v", f.timeout)
	}
	var inURL *url.Error
	if errors.As(err, &inURL) { // contains the URL, which may contain a password
		return nil, inURL.Err
	}
	return result, err
}

func (f *fetcher) exchange(ctx context.Context, target fetchTarget) (*fetchResult, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", target.accept)
	// An uncompressed body cannot be a decompression bomb.
	request.Header.Set("Accept-Encoding", "identity")
	if target.etag != "" {
		request.Header.Set("If-None-Match", target.etag)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, err
	}
	// Not drained first: for a long body, closing the connection is cheaper.
	defer response.Body.Close()
	result := &fetchResult{etag: response.Header.Get("ETag")}
	result.maxAge, result.hasMaxAge = lifetimeIn(response.Header)
	switch {
	case response.StatusCode == http.StatusNotModified && target.etag != "":
		result.notModified = true
		return result, nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d", response.StatusCode)
	case !isIdentity(response.Header.Values("Content-Encoding")):
		return nil, errors.New("compressed, although not requested")
	}
	result.body, err = readAtMost(response.Body, target.largest)
	return result, err
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

// lifetimeIn reads Cache-Control (RFC 9111 section 5.2.2). Numbers that overflow count as the
// maximum.
func lifetimeIn(header http.Header) (lifetime time.Duration, found bool) {
	directives := strings.Join(header.Values("Cache-Control"), ", ")
	if notCacheable.MatchString(directives) {
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
