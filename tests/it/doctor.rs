//! `signet doctor`: a working service passes; each fault is reported with a remedy.

use std::collections::BTreeMap;

use reqwest::redirect::Policy;
use signet::config::{Config, List};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Answer, Program, TestDatabase, TestServer};

/// A response in transit through the proxy: headers by lower-case name, and the body.
struct ProxiedResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Changes the response for a path, as a proxy could.
type Change = fn(&str, &mut ProxiedResponse);

/// Starts a server behind a proxy whose URL is the issuer; returns the issuer.
async fn behind_proxy(change: Change) -> (TestServer, String) {
    behind_proxy_with(change, |_| {}).await
}

/// Like [`behind_proxy`], with changed settings.
async fn behind_proxy_with(change: Change, settings: fn(&mut Config)) -> (TestServer, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let server = TestServer::with(|config| {
        config.service.issuer = Some(issuer.clone());
        settings(config);
    })
    .await;
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let upstream = server.url("");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(stream, http.clone(), upstream.clone(), change));
        }
    });
    (server, issuer)
}

/// Forwards one request with some of its headers and a client address, and returns the changed
/// response.
async fn forward(stream: TcpStream, http: reqwest::Client, upstream: String, change: Change) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let url = format!("{upstream}{path}");
    let mut request = http.request(method.parse().unwrap(), url);
    request = request.header("x-forwarded-for", "203.0.113.9");
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "if-none-match" | "content-type" => request = request.header(name, value),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = Answer::of(request.body(body)).await;
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let body = String::from_utf8(answer.body.clone()).unwrap();
    let mut response = ProxiedResponse { status: answer.status, headers: headers.collect(), body };
    change(&path, &mut response);

    response.headers.remove("transfer-encoding");
    response.headers.insert("content-length".to_owned(), response.body.len().to_string());
    response.headers.insert("connection".to_owned(), "close".to_owned());
    let lines = response.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let head = format!("HTTP/1.1 {} x\r\n{}\r\n", response.status, lines.collect::<String>());
    let body = if response.status == 304 { "" } else { &response.body };
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

/// The output and the exit status of the doctor.
struct Report {
    has_passed: bool,
    text: String,
}

/// Runs the doctor without access to the database.
async fn run_doctor_without_database(database: &TestDatabase, issuer: &str) -> Report {
    run_program(&Program::without_settings(database.directory()), issuer).await
}

/// Runs the doctor with access to the database.
async fn run_doctor(database: &TestDatabase, issuer: &str) -> Report {
    run_program(&Program::new(database), issuer).await
}

async fn run_program(program: &Program, issuer: &str) -> Report {
    let output = program.run(&["doctor", issuer]).await;
    let has_passed = output.status.success();
    assert_eq!(output.status.code(), Some(i32::from(!has_passed)));
    Report { has_passed, text: String::from_utf8(output.stdout).unwrap() }
}

impl Report {
    /// Asserts exactly one fault. Its line contains `fault`, and the next line contains `remedy`.
    #[track_caller]
    fn assert_one_fault(&self, fault: &str, remedy: &str) {
        let lines: Vec<_> = self.text.lines().collect();
        let at: Vec<_> = (0..lines.len()).filter(|at| lines[*at].contains("FAULT")).collect();
        assert_eq!(at.len(), 1, "{}", self.text);
        assert!(lines[at[0]].contains(fault), "{}", self.text);
        assert!(lines[at[0] + 1].contains(remedy), "{}", self.text);
        assert!(!self.has_passed);
    }
}

#[tokio::test]
async fn doctor_passes_a_working_service() {
    let server = TestServer::with(|config| config.service.issuer = None).await;
    let issuer = format!("http://localhost:{}", server.address.port());

    let without_database = run_doctor_without_database(&server.database, &issuer).await;
    let with_database = run_doctor(&server.database, &issuer).await;

    for Report { has_passed, text } in [&without_database, &with_database] {
        assert!(*has_passed && !text.contains("FAULT"), "{text}");
        for part in ["byte for byte", "max-age=300", "304", "Signet is ready", "127.0.0.1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(with_database.text.contains("exactly one key signs"), "{}", with_database.text);
    assert!(!without_database.text.contains("exactly one key signs"), "{}", without_database.text);
}

/// An unmodified proxy causes no fault, so the faults in the tests below are caused by its changes.
#[tokio::test]
async fn doctor_passes_a_working_service_behind_a_proxy() {
    let (server, issuer) = behind_proxy(|_, _| {}).await;

    let Report { has_passed, text } =
        run_doctor_without_database(&server.database, &format!("{issuer}/")).await;

    assert!(has_passed && !text.contains("FAULT"), "{text}");
}

#[tokio::test]
async fn doctor_reports_proxy_faults_with_a_remedy() {
    let cases: [(Change, &str, &str); 8] = [
        (|_, it| drop(it.headers.remove("etag")), "304", "ETag"),
        (|_, it| drop(it.headers.remove("cache-control")), "may be cached", "Cache-Control"),
        (
            |path, it| {
                if path.contains("jwks") {
                    it.headers.insert("cache-control".to_owned(), "no-store".to_owned());
                }
            },
            "may be cached",
            "Cache-Control",
        ),
        (
            |_, it| drop(it.headers.remove("access-control-allow-origin")),
            "any origin",
            "Access-Control-Allow-Origin",
        ),
        (
            |_, it| {
                it.headers.insert("date".to_owned(), "Sat, 01 Jan 2000 00:00:00 GMT".to_owned());
            },
            "differ by",
            "NTP",
        ),
        (|_, it| it.body = it.body.replace("\"RS256\"", "\"RS512\""), "RS256", "refuse the others"),
        (
            |_, it| it.body = it.body.replacen("\"kty\":", "\"d\":\"AQAB\",\"kty\":", 1),
            "private member",
            "REVOKE",
        ),
        (
            |path, it| {
                if path == "/readyz" {
                    it.status = 503;
                }
            },
            "not ready",
            "log",
        ),
    ];
    assert_faults(&cases).await;
}

/// A4: clients may send a long state, which proxies must return.
#[tokio::test]
async fn doctor_reports_a_proxy_that_rejects_long_responses() {
    let cases: [(Change, &str, &str); 2] = [
        // nginx rejects such responses with its default buffers.
        (
            |_, it| {
                if it.headers.get("location").is_some_and(|it| it.len() > 4_000) {
                    it.status = 502;
                }
            },
            "a state of 1000 characters",
            "proxy_buffer_size",
        ),
        (
            |path, it| {
                if path.len() > 4_000 {
                    it.status = 414;
                }
            },
            "a state of 1000 characters",
            "large_client_header_buffers",
        ),
    ];
    assert_faults(&cases).await;
}

async fn assert_faults(cases: &[(Change, &str, &str)]) {
    for (change, fault, remedy) in cases {
        let (server, issuer) = behind_proxy(*change).await;

        let report = run_doctor_without_database(&server.database, &issuer).await;

        assert!(!report.has_passed, "{fault}: {}", report.text);
        assert!(report.text.contains(fault) && report.text.contains(remedy), "{}", report.text);
    }
}

/// D11: the proxy forwards the client address, but the server ignores it.
#[tokio::test]
async fn doctor_reports_an_untrusted_proxy() {
    let none = |config: &mut Config| config.service.trusted_proxies = List::default();
    let (server, issuer) = behind_proxy_with(|_, _| {}, none).await;

    let report = run_doctor_without_database(&server.database, &issuer).await;

    report.assert_one_fault("ignores X-Forwarded-For", "SIGNET_TRUSTED_PROXIES");
}

#[tokio::test]
async fn doctor_reports_one_cause_as_one_fault() {
    let (server, issuer) = behind_proxy(|path, it| {
        if path.contains("jwks") {
            it.headers.remove("etag");
        }
    })
    .await;
    run_doctor_without_database(&server.database, &issuer).await.assert_one_fault("304", "ETag");

    let (server, issuer) = behind_proxy(|path, it| {
        if path.contains("jwks") {
            it.status = 404;
        }
    })
    .await;
    run_doctor_without_database(&server.database, &issuer).await.assert_one_fault("404", "proxy");
}

/// The issuer is compared exactly, as in verifiers.
#[tokio::test]
async fn doctor_reports_an_issuer_mismatch() {
    let server = TestServer::with(|config| config.service.issuer = None).await;
    let other_name = format!("http://127.0.0.1:{}", server.address.port());

    let report = run_doctor_without_database(&server.database, &other_name).await;

    report.assert_one_fault("byte for byte", "SIGNET_ISSUER");
}

#[tokio::test]
async fn doctor_reports_an_unreachable_service() {
    let database = TestDatabase::create().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unreachable = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    run_doctor_without_database(&database, &unreachable)
        .await
        .assert_one_fault("does not answer", "is Signet running");
    let no_url = run_doctor_without_database(&database, "nowhere").await;
    no_url.assert_one_fault("does not answer", "begin the issuer with http://");
}

#[tokio::test]
async fn doctor_reports_a_newer_schema() {
    let server = TestServer::with(|config| config.service.issuer = None).await;
    let issuer = format!("http://localhost:{}", server.address.port());
    let newer = "INSERT INTO seaql_migrations (version, applied_at) \
                 VALUES ('m20991231_000001_from_the_future', 1)";
    server.database.execute(newer).await;

    let report = run_doctor(&server.database, &issuer).await;

    report.assert_one_fault("from_the_future", "the version that runs");
}

#[tokio::test]
async fn doctor_reports_a_missing_database_and_creates_none() {
    let server = TestServer::with(|config| config.service.issuer = None).await;
    let issuer = format!("http://localhost:{}", server.address.port());
    let empty = server.database.directory().join("empty.db");
    let url = format!("sqlite:{}", empty.display());
    let program =
        Program::without_settings(server.database.directory()).with("SIGNET_DATABASE_URL", &url);

    let report = run_program(&program, &issuer).await;

    report.assert_one_fault("empty.db", "SIGNET_DATABASE_URL");
    assert!(!empty.exists(), "the doctor creates no database");
}

/// No instance performs the due steps, so a key that should sign does not.
#[tokio::test]
async fn doctor_reports_keys_behind_schedule() {
    let mut server = TestServer::with(|config| config.service.issuer = None).await;
    let output = Program::new(&server.database).run(&["keys", "rotate"]).await;
    assert!(output.status.success());
    let issuer = format!("http://localhost:{}", server.address.port());
    let notice = run_doctor(&server.database, &issuer).await;
    assert!(notice.has_passed && notice.text.contains("signs from"), "{}", notice.text);

    server.stop();
    server.database.execute("UPDATE signing_key SET activate_at = 1 WHERE state = 'pending'").await;
    let report = run_doctor(&server.database, &issuer).await;

    assert!(report.text.contains("not so: the key schedule is on time"), "{}", report.text);
    assert!(report.text.contains("no instance performs the steps"), "{}", report.text);
}

/// W10: the doctor detects a clock that is ahead, and stored times of a clock that was ahead.
#[tokio::test]
async fn doctor_reports_a_clock_that_is_or_was_ahead() {
    let mut server = TestServer::with(|config| config.service.issuer = None).await;
    let issuer = format!("http://localhost:{}", server.address.port());
    let now = server.clock.now().as_micros();
    let day: i64 = 24 * 60 * 60 * 1_000_000;
    let healthy = run_doctor(&server.database, &issuer).await;
    assert!(healthy.has_passed && healthy.text.contains("the clock agrees"), "{}", healthy.text);
    assert!(healthy.text.contains("no key has a time in the future"), "{}", healthy.text);

    // A running server would continue to record the retention time.
    server.stop_cleanly().await;
    for (change, fault, remedy) in [
        (
            format!("database_state SET retention_at = {}", now - 40 * day),
            "40 days ahead",
            "is the clock right?",
        ),
        (
            format!("database_state SET retention_at = {}", now + day),
            "has already been recorded",
            "set the clock",
        ),
        (
            format!("signing_key SET created_at = {}", now + 3650 * day),
            "a time in the future",
            "keys rotate",
        ),
        (
            format!("signing_key SET created_at = 1, activated_at = {}", now + 3650 * day),
            "a time in the future",
            "keys rotate",
        ),
    ] {
        server.database.execute(&format!("UPDATE {change}")).await;
        let text = run_doctor(&server.database, &issuer).await.text;
        let lines: Vec<_> = text.lines().collect();
        let at = lines.iter().position(|line| line.contains(fault)).expect(&text);
        assert!(lines[at].contains("FAULT") && lines[at + 1].contains(remedy), "{text}");
    }
}
