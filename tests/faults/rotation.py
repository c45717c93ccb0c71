"""Key rotations of three instances, with verifiers that cache the key set (F10).

A verifier fetches the key set when its copy has reached `max-age`, and never because of an unknown
key. One more fetch is planned before each activation, so that the copies of the three verifiers
then have different ages: new, half of `max-age` and all of it. Tokens are verified repeatedly until
they expire, and none may be rejected.
Some rotations are requested by two operators concurrently (AT-07), the others are automatic.
"""

import random
import threading
import time
from collections import deque

import jwt
from harness import Client, Counter, Loop, Report, Workspace, command, httpx, time_limit

ROTATIONS = 20
AUTOMATIC = 4
VERIFICATIONS = 100_000
MAX_AGE = 5
TOKEN_SECONDS = 10

SETTINGS = {
    "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION": "true",
    "SIGNET_JWKS_MAX_AGE_SECONDS": str(MAX_AGE),
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "0",
    "SIGNET_KEY_ROTATION_SECONDS": "8",
    "SIGNET_ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS),
}


class Verifier:
    """A resource server that caches the key set for as long as permitted."""

    def __init__(self, number, instances, tokens):
        self.tokens = tokens
        self.audience = instances[0].audience
        self.issuer = instances[0].issuer
        self._instances = instances
        self._http = httpx.Client(timeout=10)
        self.outcomes = Counter()
        self.refused = []
        self.fetch_at = []  # planned fetches, in addition to those at `max-age`
        # The age of this verifier's copy at the activation.
        self.age_at_activation = [0.0, MAX_AGE / 2, MAX_AGE][number]
        self.ages = []
        time.sleep(number * MAX_AGE / 3)  # spreads the ages before the first activation
        self.fetch()

    def fetch(self):
        requested_at = time.monotonic()
        answer = self._http.get(f"{random.choice(self._instances).url}/.well-known/jwks.json")
        assert answer.status_code == 200
        self.keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer.json()).keys}
        self.fetched_at = requested_at

    def plan(self, activation):
        """Plans the fetch before an `activation`, a time on the monotonic clock."""
        self.fetch_at.append(activation - self.age_at_activation)

    def step(self):
        now = time.monotonic()
        if now - self.fetched_at >= MAX_AGE or (self.fetch_at and self.fetch_at[0] <= now):
            if self.fetch_at and self.fetch_at[0] <= now:
                self.fetch_at.pop(0)
            self.fetch()
        for token, kid, expires in random.sample(list(self.tokens), min(20, len(self.tokens))):
            if expires - 1 < time.time():
                continue
            key = self.keys.get(kid)
            try:
                if key is None:
                    raise jwt.InvalidTokenError("unknown kid")
                jwt.decode(
                    token, key, algorithms=["RS256"], audience=self.audience, issuer=self.issuer
                )
                self.outcomes["accepted"] += 1
            except jwt.PyJWTError as error:
                self.outcomes["refused"] += 1
                self.refused.append((str(error), round(now - self.fetched_at, 2)))


def main(report, workspace):
    cluster = workspace.cluster()
    url = cluster.url("signet")
    first = workspace.signet(url, **SETTINGS).start()
    # All instances have the same issuer.
    first.settings["SIGNET_ISSUER"] = first.url
    others = [workspace.signet(url, settings_of=first) for _ in range(2)]
    for other in others:
        other.master_key_path = first.master_key_path
        other.start()
    instances = [first, *others]

    tokens = deque(maxlen=150)
    kids = Counter()
    refreshes = Counter()
    lock = threading.Lock()

    def refreshing_client(instance):
        client = Client(instance.url).sign_up()

        def work():
            answer = client.refresh()
            with lock:
                refreshes[answer.status_code] += 1
                if answer.status_code == 200:
                    token = client.body["access_token"]
                    kid = jwt.get_unverified_header(token)["kid"]
                    kids[kid] += 1
                    # Not the time of the response, which may be late on a busy machine.
                    claims = jwt.decode(token, options={"verify_signature": False})
                    tokens.append((token, kid, claims["exp"]))

        return work

    clients = Loop(*[refreshing_client(it) for it in instances], pause=0.05)
    started = time.monotonic()
    max_pending = 0
    races = Counter()
    with clients:
        time.sleep(0.5)
        verifiers = [Verifier(number, instances, tokens) for number in range(3)]
        verifying = Loop(*[it.step for it in verifiers], pause=0.02)
        with verifying:
            seen = set()
            rotations = 0
            total = 0
            while rotations < ROTATIONS or total < VERIFICATIONS:
                total = sum(sum(it.outcomes.values()) for it in verifiers)
                rows = cluster.execute("SELECT kid, state, activate_at FROM signing_key")
                pending = [row for row in rows if row[1] == "pending"]
                max_pending = max(max_pending, len(pending))
                requested = rotations < ROTATIONS - AUTOMATIC
                for kid, _, activate_at in pending:
                    if kid not in seen:
                        seen.add(kid)
                        activation = time.monotonic() + activate_at / 1e6 - time.time()
                        for verifier in verifiers:
                            verifier.plan(activation)
                if requested and not pending:
                    both = [command(it, "keys", "rotate") for it in instances[:2]]
                    codes = sorted(it.wait(30) for it in both)
                    races["one created a key" if codes[0] == 0 != codes[1] else str(codes)] += 1
                # The first key was never pending, so retired keys are counted instead.
                changed = "SELECT count(*) FROM auth_event WHERE type = 'key_retired'"
                rotations = cluster.execute(changed)[0][0]
                time.sleep(0.1)
        errors = verifying.errors
    total = sum((it.outcomes for it in verifiers), Counter())
    refused = [it for verifier in verifiers for it in verifier.refused]

    report.figure("rotations", f"{rotations} in {time.monotonic() - started:.0f} s")
    report.figure("tokens issued", f"{dict(refreshes)} with {len(kids)} keys")
    report.figure("verifications", dict(total))
    report.figure("pairs of simultaneous `keys rotate`", dict(races))
    if refused:
        report.figure("refused (reason, age of the set)", refused[:5])
    report.check(rotations >= ROTATIONS, f"at least {ROTATIONS} rotations")
    report.check(total.total() >= VERIFICATIONS, f"at least {VERIFICATIONS} verifications")
    report.check(total["refused"] == 0, "no valid token is rejected")
    report.check(set(refreshes) == {200}, "every refresh is answered with 200")
    report.check(max_pending == 1, "never more than one pending key")
    report.check(
        set(races) == {"one created a key"}, "of two concurrent rotations, one creates a key"
    )
    report.check(
        not clients.errors and not errors, f"no other errors {(clients.errors + errors)[:3]}"
    )


if __name__ == "__main__":
    report = Report("rotation: three instances, 20 rotations, cached key sets")
    with time_limit(600), Workspace() as workspace:
        main(report, workspace)
    report.end()
