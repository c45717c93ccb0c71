package verifier

import (
	"context"
	"crypto/rsa"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// keysPath is the path of the key set.
const keysPath = "/.well-known/jwks.json"

const shortestLifetimeOfKeys = time.Second

// maxLists is the maximum number of cached lists; the least recently used list is evicted.
const maxLists = 64

// remoteKeys are the published keys. Unknown kids cause at most one fetch per cool-down.
type remoteKeys struct {
	document document[keySet]
	cooldown time.Duration
}

func newRemoteKeys(config *config, fetcher *fetcher) *remoteKeys {
	url := config.baseURL + keysPath
	return &remoteKeys{
		cooldown: config.cooldown,
		document: document[keySet]{
			fetcher: fetcher,
			now:     config.now,
			source: source[keySet]{
				target: fetchTarget{
					url:     url,
					accept:  "application/jwk-set+json, application/json",
					largest: largestKeySet,
				},
				read:              parseKeySet,
				lifetime:          lifetimeOfKeys,
				hasExpired:        func(keySet, time.Time) bool { return false },
				usableWhenStale:   func(keySet) bool { return true },
				pauseWithoutEntry: retryPauseWithoutKeys,
				failed:            config.logFailure(withoutPassword(url)),
			},
		},
	}
}

func lifetimeOfKeys(_ keySet, result *fetchResult, before time.Duration) time.Duration {
	if !result.hasMaxAge {
		return before
	}
	return min(max(result.maxAge, shortestLifetimeOfKeys), longestLifetime)
}

// find returns the key named kid, and fetches the key set if necessary.
func (k *remoteKeys) find(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	current, err := k.document.get(ctx)
	if err == nil && current == nil {
		err = k.document.lastFailure()
	}
	if current == nil {
		return nil, &Error{Code: ErrKeysUnavailable, Cause: err}
	}
	if key := current.value[kid]; key != nil {
		return key, nil
	}
	if err := k.document.refresh(ctx, k.cooldown); err != nil {
		// The fetch might have found the key if the caller had waited.
		return nil, &Error{Code: ErrKeysUnavailable, Cause: err}
	}
	if key := k.document.usable().value[kid]; key != nil {
		return key, nil
	}
	return nil, refuse(ErrUnknownKey)
}

// remoteLists are the status lists that tokens reference, each fetched again after its ttl.
type remoteLists struct {
	config  *config
	fetcher *fetcher
	keys    *remoteKeys

	mu    sync.RWMutex
	lists map[string]*remoteList
	uses  atomic.Int64
}

type remoteList struct {
	document[*statusList]
	// lastUse is the number of the list's last use.
	lastUse atomic.Int64
}

func newRemoteLists(config *config, fetcher *fetcher, keys *remoteKeys) *remoteLists {
	return &remoteLists{config: config, fetcher: fetcher, keys: keys, lists: map[string]*remoteList{}}
}

// find returns the list at uri.
func (l *remoteLists) find(ctx context.Context, uri string) (*statusList, error) {
	list := l.list(uri)
	current, err := list.get(ctx)
	if current != nil {
		return current.value, nil
	}
	if err == nil {
		err = list.lastFailure()
	}
	return nil, &Error{Code: ErrStatusUnavailable, Cause: err}
}

func (l *remoteLists) list(uri string) *remoteList {
	l.mu.RLock()
	list := l.lists[uri]
	l.mu.RUnlock()
	if list == nil {
		list = l.add(uri)
	}
	list.lastUse.Store(l.uses.Add(1))
	return list
}

func (l *remoteLists) add(uri string) *remoteList {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.lists[uri]; list != nil { // added by another goroutine
		return list
	}
	if len(l.lists) >= maxLists {
		l.evictLeastRecentlyUsed()
	}
	// A substring would keep the whole token in memory.
	uri = strings.Clone(uri)
	list := &remoteList{document: document[*statusList]{
		fetcher: l.fetcher,
		now:     l.config.now,
		source:  l.source(uri),
	}}
	l.lists[uri] = list
	return list
}

func (l *remoteLists) evictLeastRecentlyUsed() {
	oldest, lastUse := "", l.uses.Load()+1
	for uri, list := range l.lists {
		if use := list.lastUse.Load(); use < lastUse {
			oldest, lastUse = uri, use
		}
	}
	delete(l.lists, oldest)
}

func (l *remoteLists) source(uri string) source[*statusList] {
	config := l.config
	url := config.baseURL + strings.TrimPrefix(uri, config.rules.issuer)
	return source[*statusList]{
		target: fetchTarget{url: url, accept: "application/statuslist+jwt", largest: largestList},
		read: func(body []byte) (*statusList, error) {
			list, err := l.verifyList(uri, string(body))
			if err != nil {
				// errors.Is must not find the error of a list in the error of a token.
				return nil, errors.New(err.Error())
			}
			return list, nil
		},
		lifetime: func(list *statusList, _ *fetchResult, _ time.Duration) time.Duration {
			if list.ttl == 0 {
				return defaultLifetime
			}
			return list.ttl
		},
		hasExpired: func(list *statusList, now time.Time) bool {
			return list.hasExpired(now, config.rules.leeway)
		},
		usableWhenStale:   func(list *statusList) bool { return !list.expiresAt.IsZero() },
		pauseWithoutEntry: retryPause,
		failed:            config.logFailure("a status list"),
	}
}

// verifyList verifies a status list token (draft-ietf-oauth-status-list section 5.1) fetched from
// uri.
func (l *remoteLists) verifyList(uri, token string) (*statusList, error) {
	list, err := parseJWS(token, largestList, nil)
	if err != nil {
		return nil, err
	}
	if _, err := list.header.check([]tokenType{typeStatusList}); err != nil {
		return nil, err
	}
	// Fetches of the keys have a timeout.
	key, err := l.keys.find(context.Background(), list.header.kid)
	if err != nil {
		return nil, err
	}
	if err := checkSignature(list, key); err != nil {
		return nil, err
	}
	return checkStatusList(list.payload, uri, &l.config.rules, l.config.now())
}
