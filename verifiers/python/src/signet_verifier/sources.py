"""Keys and status lists, fetched from Signet and cached in memory."""

from collections import OrderedDict
from collections.abc import Callable

from signet_verifier.checks import Rules
from signet_verifier.document import DEFAULT_LIFETIME, Document
from signet_verifier.errors import TokenRefused, VerificationUnavailable
from signet_verifier.fetching import Answer, Fetcher
from signet_verifier.key_set import LARGEST_KEY_SET, KeySet, PublicKey, parse_key_set
from signet_verifier.status_list import (
    LARGEST_LIST,
    MEDIA_TYPE,
    StatusList,
    check_status_list,
    parse_status_list_token,
)

Clock = Callable[[], float]

MAX_LISTS = 64
"""The maximum number of cached lists; the least recently used list is evicted."""

# Without any keys no token can be verified, so the retry follows sooner.
_PAUSE_WITHOUT_KEYS = 1.0

_SHORTEST_LIFETIME, _LONGEST_LIFETIME = 1.0, 24 * 3600.0


class KeySource:
    """The key set. Unknown `kid`s cause at most one fetch per cool-down."""

    def __init__(
        self, base_url: str, fetcher: Fetcher, cooldown_seconds: float, monotonic: Clock
    ) -> None:
        url = f"{base_url}/.well-known/jwks.json"

        async def fetch(etag: str | None) -> Answer:
            return await fetcher.get(
                url, accept="application/json", largest=LARGEST_KEY_SET, etag=etag
            )

        async def read(body: bytes) -> KeySet:
            return parse_key_set(body)

        self._cooldown = cooldown_seconds
        self._document = Document(
            url, fetch, read, _lifetime_of_keys, monotonic, _PAUSE_WITHOUT_KEYS
        )

    async def find(self, kid: str) -> PublicKey:
        """Returns the key named `kid`, and fetches the key set if necessary."""
        document = self._document
        if document.is_stale():
            await document.refresh(wait_briefly=document.cached is not None)
        if document.cached is None:
            raise VerificationUnavailable("keys_unavailable")
        if kid not in document.cached.value:
            await document.refresh(cooldown=self._cooldown)
        key = document.cached.value.get(kid)
        if key is None:
            raise TokenRefused("unknown_key")
        return key

    async def aclose(self) -> None:
        await self._document.aclose()


class StatusSource:
    """Status lists, each fetched again once it is older than its `ttl`."""

    def __init__(
        self,
        base_url: str,
        fetcher: Fetcher,
        keys: KeySource,
        rules: Rules,
        clock: Clock,
        monotonic: Clock,
    ) -> None:
        self._base_url = base_url
        self._fetcher = fetcher
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._monotonic = monotonic
        self._documents: OrderedDict[str, Document[StatusList]] = OrderedDict()

    async def find(self, uri: str) -> StatusList | None:
        """Returns the list at `uri`, or `None` if there is no usable one. A list is usable until
        its `exp`, even if Signet is unreachable; a list without `exp` is usable until its `ttl` is
        over."""
        document = self._documents.get(uri) or self._add(uri)
        self._documents.move_to_end(uri)
        has_expired = self._has_expired(document)
        if has_expired or document.is_stale():
            wait_briefly = self._usable(document) is not None
            await document.refresh(unconditional=has_expired, wait_briefly=wait_briefly)
            if wait_briefly and self._usable(document) is None:  # expired during the wait
                await document.refresh(unconditional=True)
        return self._usable(document)

    async def aclose(self) -> None:
        for document in self._documents.values():
            await document.aclose()

    def _usable(self, document: Document[StatusList]) -> StatusList | None:
        if document.cached is None or self._has_expired(document):
            return None
        if document.cached.value.expires_at is None and document.is_stale():
            return None
        return document.cached.value

    def _has_expired(self, document: Document[StatusList]) -> bool:
        expires_at = None if document.cached is None else document.cached.value.expires_at
        return expires_at is not None and self._clock() >= expires_at + self._rules.leeway_seconds

    def _add(self, uri: str) -> Document[StatusList]:
        url = self._base_url + uri.removeprefix(self._rules.issuer)

        async def fetch(etag: str | None) -> Answer:
            return await self._fetcher.get(url, accept=MEDIA_TYPE, largest=LARGEST_LIST, etag=etag)

        async def read(body: bytes) -> StatusList:
            jws = parse_status_list_token(body)
            key = await self._keys.find(jws.kid)
            if not key.verifies(jws.signed, jws.signature):
                raise TokenRefused("bad_signature")
            return check_status_list(jws.payload, uri, self._rules, self._clock())

        if len(self._documents) >= MAX_LISTS:
            self._documents.popitem(last=False)
        document = Document("a status list", fetch, read, _lifetime_of_list, self._monotonic)
        self._documents[uri] = document
        return document


def _lifetime_of_keys(_keys: KeySet, answer: Answer) -> float:
    if answer.max_age is None:
        return DEFAULT_LIFETIME
    return min(max(answer.max_age, _SHORTEST_LIFETIME), _LONGEST_LIFETIME)


def _lifetime_of_list(status_list: StatusList, _answer: Answer) -> float:
    return DEFAULT_LIFETIME if status_list.ttl is None else status_list.ttl
