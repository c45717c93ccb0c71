"""Two instances behind nginx with deploy/nginx.conf, as in the profile `two` of docker-compose.yml.

The test replaces only ports and service names of the file, and adds a header that names the
responding instance. It checks that `signet doctor` finds no fault, that Signet sees the addresses
of the clients and limits by them, and that sessions work at both instances. Then one instance after
the other is stopped or killed under load. A client repeats a refresh that got no response from
Signet, as a front end does. This must not end the session.
"""

import os
import re
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

from harness import (
    PASSWORD,
    REPOSITORY,
    Client,
    Counter,
    Loop,
    Report,
    Workspace,
    clean_environment,
    command,
    free_port,
    httpx,
    is_running,
    time_limit,
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
        header = "add_header x-answered-by $upstream_addr always;"
        text = text.replace("listen 8081;", f"listen 127.0.0.1:{port}; {header}")
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
    return httpx.Client(
        base_url=url, transport=httpx.HTTPTransport(local_address=address), timeout=20
    )


def check_proxy(report, url, first):
    doctor = command(first, "doctor", url)
    output = doctor.communicate(timeout=30)[0]
    report.check(doctor.returncode == 0, "signet doctor finds no fault")
    if doctor.returncode:
        print(output)
    with from_address(url, "127.0.0.5") as http:
        seen = [http.get("/client-address").json() for _ in range(4)]
        spoofed = {
            "X-Forwarded-For": "192.0.2.1",
            "Forwarded": "for=192.0.2.2",
            "X-Real-IP": "192.0.2.3",
        }
        seen += [http.get("/client-address", headers=spoofed).json() for _ in range(4)]
    expected = {"address": "127.0.0.5", "forwarded": True, "ignored_forwarding": False}
    report.check(
        all(it == expected for it in seen), f"Signet sees the address of the client {seen[0]}"
    )
    with from_address(url, "127.0.0.6") as http:
        body = {"email": "nobody@example.test", "password": "wrong"}
        answers = [http.post("/api/auth/login", json=body) for _ in range(12)]
    statuses = Counter(it.status_code for it in answers)
    both = {it.headers["x-answered-by"] for it in answers}
    report.figure("12 wrong logins from one client address at both", dict(statuses))
    report.check(
        statuses == {401: 5, 429: 7} and len(both) == 2,
        "both instances together allow 5 attempts a minute",
    )


def check_long_states(report, url, first):
    """Logins with a long state, whose characters take several bytes each in a URL."""
    register = ["client", "create", "web", "--redirect-uri", CALLBACK, "--consent", "skip"]
    created = command(first, *register)
    output, _ = created.communicate(timeout=30)
    assert created.returncode == 0, output
    account = Client(url).sign_up()
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
            form |= {"username": account.email, "password": PASSWORD}
            answer = http.post("/login", data=form, headers={"cookie": cookie})
        location = answer.headers.get("location", "")
        arrived = parse_qs(urlsplit(location).query).get("state") == [state]
        report.check(
            arrived, f"a state of {what} arrives ({answer.status_code}, {len(location)} bytes)"
        )


def check_roaming_sessions(report, url):
    """Sessions whose requests reach both instances, as the proxy selects them."""
    instances_by_step = Counter()
    answers = Counter()
    for number in range(10):
        with from_address(url, f"127.0.1.{number + 1}") as http:
            client = Client(url)
            client.http = http
            steps = [("signup", client.sign_up), ("login", client.log_in)]
            # The proxy selects instances round-robin. With an odd number of calls, the next session
            # starts at the other instance.
            for _ in range(4):
                steps += [("refresh", client.refresh), ("me", client.me), ("me", client.me)]
            steps += [("me", client.me)] * (number % 2)
            for name, step in steps:
                answer = step()
                if name != "signup":
                    answers[name, answer.status_code] += 1
                    instances_by_step[name, answer.headers["x-answered-by"]] += 1
    report.figure("steps", {f"{name} {status}": count for (name, status), count in answers.items()})
    report.check({it[1] for it in answers} == {200}, "each step succeeds at any instance")
    report.check(
        len(instances_by_step) == 6,
        f"each kind of step reaches both instances {dict(instances_by_step)}",
    )


def stop_instances(report, cluster, url, instances):
    answers, rejected, retries = Counter(), [], Counter()
    phase = ["before"]

    def refreshing_client(client):
        def work():
            if client in rejected:
                time.sleep(0.1)
                return
            answer = client.refresh()
            answers["refresh", answer.status_code] += 1
            if answer.status_code != 200:
                answers[phase[0], answer.status_code] += 1
            if answer.status_code >= 500:
                # The refresh may have been executed.
                time.sleep(0.02)
                answer = client.refresh()
                retries[answer.status_code] += 1
            if answer.status_code == 401:
                rejected.append(client)

        return work

    def reader(client):
        def work():
            answers["me", client.me().status_code] += 1
            answers["jwks", client.http.get("/.well-known/jwks.json").status_code] += 1

        return work

    codes = []
    clients = [Client(url).sign_up() for _ in range(CLIENTS)]
    reading = Client(url).sign_up()
    work = [*map(refreshing_client, clients), reader(reading)]
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
            # nginx does not send requests to a failed instance for two seconds.
            time.sleep(2.5)
    report.figure(
        "answers", {" ".join(map(str, it)): count for it, count in sorted(answers.items())}
    )
    report.figure("retries after 5xx", dict(retries))
    report.check(codes == [0] * len(codes), "a stopped instance exits with 0")
    gets = {it[1] for it in answers if it[0] in ("me", "jwks")}
    report.check(gets == {200}, "read requests always succeed")
    bad = [it for it in answers if it[0] == "refresh" and it[1] not in (200, 502, 503)]
    report.check(not bad, f"a refresh is answered with 200, 503, or the proxy's 502 {bad}")
    stopped = {it[1]: count for it, count in answers.items() if it[0] == "SIGTERM"}
    report.check(not stopped, f"while instances are stopped, each refresh succeeds {stopped}")
    report.check(set(retries) <= {200}, "retries succeed")
    reuse = cluster.execute("SELECT count(*) FROM auth_event WHERE type = 'token_reuse'")[0][0]
    report.check(reuse == 0 and not rejected, f"false reuse revocations: {reuse}")
    report.check(all(map(is_running, instances)), "both processes are running")
    report.check(not loops.errors, f"no other errors {loops.errors[:2]}")


def main(report, workspace):
    cluster = workspace.cluster()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {"SIGNET_ISSUER": url, "SIGNET_TRUSTED_PROXIES": "127.0.0.1"}
    first = workspace.signet(cluster.url("signet"), **settings).start()
    instances = [first, workspace.signet(cluster.url("signet"), settings_of=first).start()]
    nginx = Nginx(workspace.directory, port, instances)
    try:
        wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200, 10, "the proxy responds")
        # This test also checks the attempt limits per client address.
        exact = {"SIGNET_ATTEMPTS_PER_MINUTE": "5", "SIGNET_ACCOUNT_ATTEMPTS_PER_MINUTE": "10"}
        for signet in instances:
            signet.restart(**exact)
        time.sleep(2.5)
        check_proxy(report, url, first)
        check_long_states(report, url, first)
        check_roaming_sessions(report, url)
        for signet in instances:
            signet.restart()
        time.sleep(2.5)
        stop_instances(report, cluster, url, instances)
    finally:
        nginx.stop()


if __name__ == "__main__":
    report = Report("proxy: two instances behind nginx")
    with time_limit(180), Workspace() as workspace:
        main(report, workspace)
    report.end()
