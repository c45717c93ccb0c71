"""Two instances behind nginx with deploy/nginx.conf, as the profile `two` of docker-compose.yml.

Only ports and service names are replaced, and a header names the responding instance. `signet
doctor` examines it; client addresses and limits are those of clients; sessions move between
instances; then one instance after the other is stopped, or killed, under load. A refresh without a
response of Signet is retried, as a front end does, and must not end its session.
"""

import os
import re
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

from harness import (
    REPOSITORY,
    PASSWORD,
    Client,
    Counter,
    Loop,
    Place,
    Report,
    at_most,
    clean_environment,
    command,
    free_port,
    httpx,
    is_alive,
    wait_for,
)

NGINX = os.environ.get("NGINX", "/usr/sbin/nginx")
STOPS = 6  # half of them with SIGTERM, half with SIGKILL
CLIENTS = 8
CALLBACK = "https://rp.example/cb"


class Nginx:
    def __init__(self, directory, port, instances):
        text = (REPOSITORY / "deploy/nginx.conf").read_text()
        for name, signet in zip(("signet:8080", "signet-2:8080"), instances):
            assert f"server {name} " in text
            text = text.replace(f"server {name} ", f"server 127.0.0.1:{signet.port} ")
        paths = "".join(
            f"{kind}_temp_path {directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        named = "add_header x-answered-by $upstream_addr always;"
        text = text.replace("listen 8081;", f"listen 127.0.0.1:{port}; {named}")
        text = text.replace("http {", f"http {{ {paths}", 1)
        self._settings = directory / "nginx.conf"
        self._settings.write_text(f"daemon off; pid {directory}/nginx.pid;\n" + text)
        directory.chmod(0o755)
        self._process = subprocess.Popen(
            [NGINX, "-p", str(directory), "-e", str(directory / "error.log")]
            + ["-c", str(self._settings)],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )

    def stop(self):
        self._process.terminate()
        self._process.wait(10)


def from_address(url, address):
    return httpx.Client(base_url=url, transport=httpx.HTTPTransport(local_address=address), timeout=20)


def check_proxy(report, url, first):
    doctor = command(first, "doctor", url)
    said = doctor.communicate(timeout=30)[0]
    report.holds(doctor.returncode == 0, "signet doctor finds no fault")
    if doctor.returncode:
        print(said)
    with from_address(url, "127.0.0.5") as http:
        seen = [http.get("/client-address").json() for _ in range(4)]
        spoofed = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.2", "X-Real-IP": "192.0.2.3"}
        seen += [http.get("/client-address", headers=spoofed).json() for _ in range(4)]
    right = {"address": "127.0.0.5", "forwarded": True, "ignored_forwarding": False}
    report.holds(all(it == right for it in seen), f"clients have their own address {seen[0]}")
    with from_address(url, "127.0.0.6") as http:
        body = {"email": "nobody@example.test", "password": "wrong"}
        answers = [http.post("/api/auth/login", json=body) for _ in range(12)]
    statuses = Counter(it.status_code for it in answers)
    both = {it.headers["x-answered-by"] for it in answers}
    report.figure("12 wrong logins from one address at both", dict(statuses))
    report.holds(statuses == {401: 5, 429: 7} and len(both) == 2, "5 attempts a minute at both together")


def long_states(report, url, first):
    """A login with a long state, of characters that take several bytes each in a URL."""
    register = ["client", "create", "web", "--redirect-uri", CALLBACK, "--consent", "skip"]
    created = command(first, *register)
    said, _ = created.communicate(timeout=30)
    assert created.returncode == 0, said
    person = Client(url).sign_up()
    for what, state in (("650 é", "é" * 650), ("1,250 +", "+" * 1_250), ("1,200 é", "é" * 1_200)):
        request = {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": state,
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=url, timeout=20) as http:
            page = http.get("/oauth2/authorize", params=request)
            cookie = page.headers.get("set-cookie", "").split(";")[0]
            form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
            form |= {"username": person.email, "password": PASSWORD}
            answer = http.post("/login", data=form, headers={"cookie": cookie})
        location = answer.headers.get("location", "")
        arrived = parse_qs(urlsplit(location).query).get("state") == [state]
        report.holds(arrived, f"a state of {what} arrives ({answer.status_code}, {len(location)} bytes)")


def roaming_session(report, url):
    """One session, each request at whichever instance the proxy selects."""
    by = Counter()
    answers = Counter()
    for number in range(10):
        with from_address(url, f"127.0.1.{number + 1}") as http:
            client = Client(url)
            client.http = http
            steps = [("signup", client.sign_up), ("login", client.log_in)]
            # The proxy selects instances round-robin: an odd number of calls shifts the order.
            for _ in range(4):
                steps += [("refresh", client.refresh), ("me", client.me), ("me", client.me)]
            steps += [("me", client.me)] * (number % 2)
            for name, step in steps:
                answer = step()
                if name != "signup":
                    answers[name, answer.status_code] += 1
                    by[name, answer.headers["x-answered-by"]] += 1
    report.figure("steps", {f"{name} {status}": count for (name, status), count in answers.items()})
    report.holds({it[1] for it in answers} == {200}, "each step succeeds at any instance")
    report.holds(len(by) == 6, f"each kind of step at both {dict(by)}")


def stop_instances(report, cluster, url, instances):
    answers, refused, again = Counter(), [], Counter()
    phase = ["before"]

    def refresher(client):
        def work():
            if client in refused:
                time.sleep(0.1)
                return
            answer = client.refresh()
            answers["refresh", answer.status_code] += 1
            if answer.status_code != 200:
                answers[phase[0], answer.status_code] += 1
            if answer.status_code >= 500:
                # Whether it was executed is unknown.
                time.sleep(0.02)
                answer = client.refresh()
                again[answer.status_code] += 1
            if answer.status_code == 401:
                refused.append(client)

        return work

    def reader(client):
        def work():
            answers["me", client.me().status_code] += 1
            answers["jwks", client.http.get("/.well-known/jwks.json").status_code] += 1

        return work

    codes = []
    clients = [Client(url).sign_up() for _ in range(CLIENTS)]
    reading = Client(url).sign_up()
    work = [*map(refresher, clients), reader(reading)]
    with Loop(*work, pause=0.005) as loops:
        time.sleep(1)
        for number in range(STOPS):
            signet = instances[number % 2]
            phase[0] = "SIGTERM" if number < STOPS // 2 else "SIGKILL"
            if phase[0] == "SIGTERM":
                codes.append(signet.stop())
            else:
                signet.kill()
            time.sleep(1)
            signet.start()
            # nginx does not use a failed instance for two seconds.
            time.sleep(2.5)
    report.figure("answers", {" ".join(map(str, it)): count for it, count in sorted(answers.items())})
    report.figure("retries after 5xx", dict(again))
    report.holds(codes == [0] * len(codes), "a stopped instance exits with 0")
    gets = {it[1] for it in answers if it[0] in ("me", "jwks")}
    report.holds(gets == {200}, "read requests always succeed, at the other instance if necessary")
    bad = [it for it in answers if it[0] == "refresh" and it[1] not in (200, 502, 503)]
    report.holds(not bad, f"a refresh is answered with 200, 503, or the proxy's 502 {bad}")
    stopped = {it[1]: count for it, count in answers.items() if it[0] == "SIGTERM"}
    report.holds(not stopped, f"while instances are stopped, each refresh succeeds {stopped}")
    report.holds(set(again) <= {200}, "retries succeed")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.holds(reuse == 0 and not refused, f"false reuse revocations: {reuse}")
    report.holds(all(map(is_alive, instances)), "both processes are running")
    report.holds(not loops.errors, f"no other errors {loops.errors[:2]}")


def main(report, place):
    cluster = place.cluster()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"SIGNET_ISSUER": url, "SIGNET_TRUSTED_PROXIES": "127.0.0.1"}
    first = place.signet(cluster.url("signet"), **settings).start()
    instances = [first, place.signet(cluster.url("signet"), like=first).start()]
    nginx = Nginx(place.directory, port, instances)
    try:
        wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200, 10, "the proxy responds")
        # Attempt limits per address are under test here.
        exact = {"SIGNET_ATTEMPTS_PER_MINUTE": "5", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE": "10"}
        for signet in instances:
            signet.restart(**exact)
        time.sleep(2.5)
        check_proxy(report, url, first)
        long_states(report, url, first)
        roaming_session(report, url)
        for signet in instances:
            signet.restart()
        time.sleep(2.5)
        stop_instances(report, cluster, url, instances)
    finally:
        nginx.stop()


if __name__ == "__main__":
    report = Report("proxy: two instances behind nginx")
    with at_most(180), Place() as place:
        main(report, place)
    report.end()
