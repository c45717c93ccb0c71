"""F11: one of two instances is frozen (SIGSTOP) through a whole rotation, then continues.

It handles the requests that queued up meanwhile before it has read the database. None of their
tokens may be signed with the retired key, and a key set without the new key must not be cacheable.
A request that it refuses must have had no effect.
"""

import json
import os
import signal
import socket
import time

import jwt
from harness import Client, Counter, Place, Report, at_most, command, httpx, is_alive, wait_for

ROUNDS = 4
SETTINGS = {
    "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION": "true",
    "SIGNET_JWKS_MAX_AGE_SECONDS": "2",
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "0",
    "SIGNET_KEY_ROTATION_SECONDS": "0",
    "SIGNET_ACCESS_TOKEN_SECONDS": "4",
}
WAITING = 12


class Connection:
    """HTTP/1.1 by hand: the request is sent now, the response read later."""

    def __init__(self, instance):
        self._socket = socket.create_connection(("127.0.0.1", instance.port), timeout=15)
        # A response proves that the connection was accepted.
        self.ask("GET", "/livez")
        assert self.answer()[0] == 200

    def ask(self, method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        self._socket.sendall(head.encode() + b"\r\n" + content)
        self._read = b""

    def answer(self):
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, body = self._read.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        while len(body) < int(headers["content-length"]):
            self._more()
            body = self._read.partition(b"\r\n\r\n")[2]
        return int(lines[0].split()[1]), headers, json.loads(body)

    def _more(self):
        data = self._socket.recv(65_536)
        assert data, "closed"
        self._read += data


def kid_of(body):
    return jwt.get_unverified_header(body["access_token"])["kid"]


def states(cluster):
    return dict(cluster.execute("SELECT kid, state FROM signing_key"))


def main(report, place):
    cluster = place.cluster()
    going = place.signet(cluster.url("signet"), **SETTINGS).start()
    frozen = place.signet(cluster.url("signet"), like=going).start()
    refreshes, sets, readiness = Counter(), Counter(), Counter()
    stale_signed = []
    kept_sets = []
    done_anyway = []
    recoveries = []
    for number in range(ROUNDS):
        clients = [Client(going.url).sign_up() for _ in range(WAITING)]
        waiting = [(Connection(frozen), Connection(frozen), it) for it in clients]
        probe = Connection(frozen)
        (old,) = [kid for kid, state in states(cluster).items() if state == "active"]
        os.kill(frozen.pid, signal.SIGSTOP)
        assert command(going, "keys", "rotate").wait(30) == 0
        # In every second round the old key is still published for the tokens it has signed.
        wanted = "retiring" if number % 2 else "removed"
        wait_for(lambda: states(cluster)[old] == wanted, 40, f"the old key is {wanted}")
        (new,) = [kid for kid, state in states(cluster).items() if state == "active"]
        if wanted == "retiring":
            time.sleep(1)
        probe.ask("GET", "/readyz")
        for documents, tokens, client in waiting:
            tokens.ask("POST", "/api/auth/refresh", {"refresh_token": client.body["refresh_token"]})
            documents.ask("GET", "/.well-known/jwks.json")
        thawed_at = time.monotonic()
        os.kill(frozen.pid, signal.SIGCONT)
        readiness[probe.answer()[0]] += 1
        for documents, tokens, client in waiting:
            status, _, body = tokens.answer()
            if status == 200:
                kid = kid_of(body)
                refreshes["200 with the new key" if kid == new else "200 with the old key"] += 1
                if kid != new:
                    stale_signed.append(kid)
            else:
                refreshes[status] += 1
                sid = jwt.decode(
                    client.body["access_token"], options={"verify_signature": False}
                )["sid"]
                row = cluster.execute("SELECT generation FROM session WHERE id = %s", sid)
                if row != [(0,)]:
                    done_anyway.append(sid)
            status, headers, body = documents.answer()
            knows = new in {key["kid"] for key in body["keys"]}
            cached = headers["cache-control"]
            sets[f"{status} {'with' if knows else 'without'} the new key, {cached}"] += 1
            if not knows and cached != "no-cache":
                kept_sets.append(cached)
        with httpx.Client(base_url=frozen.url) as http:
            wait_for(lambda: http.get("/readyz").status_code == 200, 10, "ready")
            wait_for(
                lambda: new in http.get("/.well-known/jwks.json").text, 10, "the new key is published"
            )
        again = clients[0]
        again.http = httpx.Client(base_url=frozen.url)
        wait_for(lambda: again.refresh().status_code == 200, 10, "it signs again")
        recoveries.append(time.monotonic() - thawed_at)
        assert kid_of(again.body) == new
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]

    report.figure("rounds", ROUNDS)
    report.figure("queued refreshes", dict(refreshes))
    report.figure("queued key set requests", dict(sets))
    report.figure("queued /readyz requests", dict(readiness))
    report.figure("signs with the new key after", f"at most {max(recoveries) * 1e3:.0f} ms")
    report.holds(not stale_signed, "nothing is signed with the retired key")
    report.holds(not kept_sets, "a set without the new key is served with no-cache")
    report.holds(set(refreshes) <= {503, "200 with the new key"}, "503, or the new key")
    report.holds(not done_anyway, f"refused requests had no effect ({len(done_anyway)} were)")
    report.holds(max(recoveries) <= 2.0, "it signs again within 2 s")
    report.holds(reuse == 0, f"false reuse revocations: {reuse}")
    report.holds(is_alive(frozen), "the process is running")


if __name__ == "__main__":
    report = Report("frozen_instance: SIGSTOP through a rotation")
    with at_most(200), Place() as place:
        main(report, place)
    report.end()
