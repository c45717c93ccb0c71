"""One of two instances is suspended (SIGSTOP) during a whole key rotation (F11).

After SIGCONT it handles the queued requests before it has read the database. It must not sign
tokens with the retired key, and a key set without the new key must not be cacheable. A request that
gets an error from it must have had no effect.
"""

import json
import os
import signal
import socket
import time

import jwt
from harness import (
    Client,
    Counter,
    Report,
    Workspace,
    command,
    httpx,
    is_running,
    time_limit,
    wait_for,
)

ROUNDS = 4
SETTINGS = {
    "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION": "true",
    "SIGNET_JWKS_MAX_AGE_SECONDS": "2",
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "0",
    "SIGNET_KEY_ROTATION_SECONDS": "0",
    "SIGNET_ACCESS_TOKEN_SECONDS": "4",
}
QUEUED = 12


class Connection:
    """An HTTP/1.1 connection that sends a request now and reads the response later."""

    def __init__(self, instance):
        self._socket = socket.create_connection(("127.0.0.1", instance.port), timeout=15)
        # A response shows that the instance has accepted the connection.
        self.send_request("GET", "/livez")
        assert self.read_response()[0] == 200

    def send_request(self, method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
        if body is not None:
            head += "Content-Type: application/json\r\n"
        self._socket.sendall(head.encode() + b"\r\n" + content)
        self._read = b""

    def read_response(self):
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


def main(report, workspace):
    cluster = workspace.cluster()
    running = workspace.signet(cluster.url("signet"), **SETTINGS).start()
    frozen = workspace.signet(cluster.url("signet"), settings_of=running).start()
    refreshes, sets, readiness = Counter(), Counter(), Counter()
    stale_signed = []
    cacheable_sets = []
    executed_despite_error = []
    recoveries = []
    for number in range(ROUNDS):
        clients = [Client(running.url).sign_up() for _ in range(QUEUED)]
        queued = [(Connection(frozen), Connection(frozen), it) for it in clients]
        probe = Connection(frozen)
        (old,) = [kid for kid, state in states(cluster).items() if state == "active"]
        os.kill(frozen.pid, signal.SIGSTOP)
        assert command(running, "keys", "rotate").wait(30) == 0
        # In every second round the old key is still published, since its tokens are still valid.
        expected_state = "retiring" if number % 2 else "removed"
        wait_for(
            lambda: states(cluster)[old] == expected_state, 40, f"the old key is {expected_state}"
        )
        (new,) = [kid for kid, state in states(cluster).items() if state == "active"]
        if expected_state == "retiring":
            time.sleep(1)
        probe.send_request("GET", "/readyz")
        for documents, tokens, client in queued:
            tokens.send_request(
                "POST", "/api/auth/refresh", {"refresh_token": client.body["refresh_token"]}
            )
            documents.send_request("GET", "/.well-known/jwks.json")
        resumed_at = time.monotonic()
        os.kill(frozen.pid, signal.SIGCONT)
        readiness[probe.read_response()[0]] += 1
        for documents, tokens, client in queued:
            status, _, body = tokens.read_response()
            if status == 200:
                kid = kid_of(body)
                refreshes["200 with the new key" if kid == new else "200 with the old key"] += 1
                if kid != new:
                    stale_signed.append(kid)
            else:
                refreshes[status] += 1
                sid = jwt.decode(client.body["access_token"], options={"verify_signature": False})[
                    "sid"
                ]
                row = cluster.execute("SELECT generation FROM session WHERE id = %s", sid)
                if row != [(0,)]:
                    executed_despite_error.append(sid)
            status, headers, body = documents.read_response()
            has_new_key = new in {key["kid"] for key in body["keys"]}
            cache_control = headers["cache-control"]
            sets[
                f"{status} {'with' if has_new_key else 'without'} the new key, {cache_control}"
            ] += 1
            if not has_new_key and cache_control != "no-cache":
                cacheable_sets.append(cache_control)
        with httpx.Client(base_url=frozen.url) as http:
            wait_for(lambda: http.get("/readyz").status_code == 200, 10, "ready")
            wait_for(
                lambda: new in http.get("/.well-known/jwks.json").text,
                10,
                "the new key is published",
            )
        again = clients[0]
        again.http = httpx.Client(base_url=frozen.url)
        wait_for(lambda: again.refresh().status_code == 200, 10, "it signs again")
        recoveries.append(time.monotonic() - resumed_at)
        assert kid_of(again.body) == new
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]

    report.figure("rounds", ROUNDS)
    report.figure("queued refreshes", dict(refreshes))
    report.figure("queued key set requests", dict(sets))
    report.figure("queued /readyz requests", dict(readiness))
    report.figure("signs with the new key after", f"at most {max(recoveries) * 1e3:.0f} ms")
    report.check(not stale_signed, "nothing is signed with the retired key")
    report.check(not cacheable_sets, "a set without the new key is served with no-cache")
    report.check(
        set(refreshes) <= {503, "200 with the new key"},
        "each queued refresh gets a 503, or a token signed with the new key",
    )
    report.check(
        not executed_despite_error,
        f"requests answered with an error had no effect ({len(executed_despite_error)} did)",
    )
    report.check(max(recoveries) <= 2.0, "the instance signs again within 2 s")
    report.check(reuse == 0, f"false reuse revocations: {reuse}")
    report.check(is_running(frozen), "the process is running")


if __name__ == "__main__":
    report = Report("frozen_instance: SIGSTOP through a rotation")
    with time_limit(200), Workspace() as workspace:
        main(report, workspace)
    report.end()
