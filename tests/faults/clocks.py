"""Clocks of two hosts are five minutes off, that of a third jumps (F12, RF-13, TM-02, TM-03).

Two instances run under libfaketime with +5 min and -5 min. The clock of a third jumps by +1 h, -1 h
and +10 years while it serves. All instances use the time of their common database. Therefore no
session may end for token reuse, no key may sign before its time, and each instance must accept the
tokens of the others.
"""

import time
from datetime import datetime
from pathlib import Path

import jwt
from harness import (
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    command,
    httpx,
    is_running,
    time_limit,
)

JUMPS = ["+1h", "-1h", "+10y", "+0"]
SETTINGS = {
    "SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION": "true",
    "SIGNET_JWKS_MAX_AGE_SECONDS": "2",
    "SIGNET_KEY_RELOAD_SECONDS": "1",
    "SIGNET_CLOCK_SKEW_SECONDS": "0",
    "SIGNET_KEY_ROTATION_SECONDS": "0",
    "SIGNET_ACCESS_TOKEN_SECONDS": "60",
}
PUBLICATION = 5  # max-age and three reloads


def faketime_library():
    for path in Path("/usr/lib").glob("**/libfaketimeMT.so.1"):
        return str(path)
    raise AssertionError("libfaketime is missing; on Debian: apt-get install faketime")


def clock_offset(signet):
    """The offset of the instance's clock in seconds, read from its log.

    The header `Date` is not suitable: hyper updates it once a second, and never sets it back.
    """
    httpx.post(f"{signet.url}/api/auth/logout")
    time.sleep(0.1)
    lines = [line for line in signet.output.splitlines() if line.startswith("20")]
    instance_time = datetime.fromisoformat(lines[-1].split()[0])
    return instance_time.timestamp() - time.time()


def main(report, workspace):
    cluster = workspace.cluster()
    url = cluster.url("signet")
    # The monotonic clock is real, since it is not affected when a wall clock jumps.
    fake = {"LD_PRELOAD": faketime_library(), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    fast = workspace.signet(url, **SETTINGS, **fake, FAKETIME="+5m").start()
    slow = workspace.signet(url, settings_of=fast, FAKETIME="-5m").start()
    clock = workspace.directory / "clock"
    clock.write_text("+0\n")
    jumping = workspace.signet(
        url, settings_of=fast, FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1"
    )
    del jumping.settings["FAKETIME"]
    jumping.start()
    instances = [fast, slow, jumping]
    seen = [round(clock_offset(it)) for it in instances]
    report.figure("clocks of the hosts, in seconds off", seen)
    assert seen[0] > 290 and seen[1] < -290 and abs(seen[2]) < 5, "libfaketime has no effect"

    answers = Counter()
    wrong = []
    used = []  # (time of the test, kid)

    def roaming_client(number):
        client = Client(fast.url).sign_up()
        connections = [httpx.Client(base_url=it.url, timeout=10) for it in instances]
        step = [number]

        def work():
            here, there = connections[step[0] % 3], connections[(step[0] + 1) % 3]
            step[0] += 1
            presented = client.body["refresh_token"]
            client.http = here
            answers["refresh", client.refresh().status_code] += 1
            successor = client.body["refresh_token"]
            if step[0] % 5 == 0:
                # As if the response had been lost: a retry at another instance.
                again = there.post("/api/auth/refresh", json={"refresh_token": presented})
                answers["retry elsewhere", again.status_code] += 1
                if again.status_code == 200 and again.json()["refresh_token"] != successor:
                    wrong.append("another successor")
            token = client.body["access_token"]
            claims = jwt.decode(token, options={"verify_signature": False})
            used.append((time.time(), jwt.get_unverified_header(token)["kid"]))
            if abs(claims["iat"] - time.time()) > 2 or claims["exp"] - claims["iat"] != 60:
                wrong.append(f"iat is off by {claims['iat'] - time.time():.0f} s")
            client.http = there
            answers["me elsewhere", client.me().status_code] += 1

        return work

    published = []
    with Loop(*[roaming_client(number) for number in range(3)], pause=0.02) as loops:
        # The command runs with the wrong clock of the instance's host.
        for number, host in enumerate((fast, slow)):
            asked = time.time()
            assert command(host, "keys", "rotate").wait(30) == 0
            row = cluster.execute(
                "SELECT kid, created_at, activate_at FROM signing_key WHERE state = 'pending'"
            )[0]
            published.append((asked, *row))
            time.sleep(PUBLICATION + 4)
        for jump in JUMPS:
            clock.write_text(jump + "\n")
            time.sleep(1)
            answers["jump seen", jump, round(clock_offset(jumping) / 3600)] += 1
            if jump == "+10y":
                # The jump must not affect the keys' schedule.
                before = cluster.execute("SELECT kid, state FROM signing_key ORDER BY kid")
            time.sleep(4)
            if jump == "+10y":
                after = cluster.execute("SELECT kid, state FROM signing_key ORDER BY kid")
                report.check(before == after, "a jump of 10 years does not change the key schedule")
    report.figure("answers", {" ".join(map(str, key)): it for key, it in answers.items()})
    early = []
    for asked, kid, created, activate in published:
        if abs(created / 1e6 - asked) > 3 or abs((activate - created) / 1e6 - PUBLICATION) > 0.01:
            wrong.append(f"a key was published at {created / 1e6 - asked:+.0f} s")
        first = min((at for at, it in used if it == kid), default=None)
        if first is None or first < activate / 1e6 - 0.1:
            early.append((kid, first, activate / 1e6))
    report.check(
        not early, f"no key signs before its scheduled time, and each signs afterwards {early}"
    )
    report.check(not wrong, f"all times are those of the database {Counter(wrong)}")
    refused = [it for it in answers if it[0] != "jump seen" and it[1] != 200]
    report.check(not refused, "every refresh, retry and token is accepted by every instance")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    ended = cluster.execute("SELECT count(*) FROM session WHERE ended_at IS NOT NULL")[0][0]
    report.check(reuse == 0 and ended == 0, f"false reuse revocations: {reuse}")
    hours = {it[1]: it[2] for it in answers if it[0] == "jump seen"}
    report.check(hours["+1h"] == 1 and hours["-1h"] == -1, "the clock jumped")
    report.check(hours["+10y"] > 80_000, "the clock jumped by 10 years")
    report.check(all(map(is_running, instances)), "all processes are running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")


if __name__ == "__main__":
    report = Report("clocks: hosts five minutes off, jumps of an hour and of ten years")
    with time_limit(150), Workspace() as workspace:
        main(report, workspace)
    report.end()
