//! Mail: settings, delivery by SMTP and into files, retries, limits and dead letters.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use signet::config::Config;

use crate::harness::mailed::mail_without_server;
use crate::harness::smtp::{self, Behaviour, SmtpServer};
use crate::harness::{Answer, PASSWORD, Program, TestDatabase, TestServer, eventually};

const NEW_PASSWORD: &str = "Difference-Engine-1822";

fn with_mail(config: &mut Config, transport: &str) {
    config.mail.mail = transport.parse().unwrap();
    config.mail.mail_from = Some("Example <id@example.test>".to_owned());
}

async fn server_with(smtp: &SmtpServer) -> TestServer {
    let url = smtp.url();
    TestServer::with(|config| with_mail(config, &url)).await
}

/// Changes the password to `new`, which causes a notice.
async fn change_password(server: &TestServer, access_token: &str, old: &str, new: &str) -> Answer {
    let body = json!({ "current_password": old, "new_password": new });
    let request = server.request(reqwest::Method::POST, "/api/auth/password");
    let request = request.header("x-forwarded-for", server.new_client_address());
    Answer::of(request.header("accept-language", "de").bearer_auth(access_token).json(&body)).await
}

/// Signs up and changes the password, which causes a notice.
async fn cause_notice(server: &TestServer, email: &str) {
    let tokens = server.sign_up(email).await.expect_status(201).tokens();
    change_password(server, &tokens.access_token, PASSWORD, NEW_PASSWORD).await.expect_status(204);
}

async fn queued(server: &TestServer) -> i64 {
    server.database.count("outbox WHERE kind = 'mail'").await
}

/// PW-07: the owner is notified of a changed password. The row of the mail is deleted when it has
/// been sent.
#[tokio::test]
async fn changed_password_is_notified() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;

    cause_notice(&server, "ada@example.test").await;

    eventually("the notice arrives", async || !smtp.mails().is_empty()).await;
    let mail = smtp.mails().remove(0);
    assert_eq!(mail.to, "ada@example.test");
    assert_eq!(mail.header("To"), "ada@example.test");
    assert_eq!(mail.header("From"), "Example <id@example.test>");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(mail.header("Message-ID").ends_with("@example.test>"));
    assert!(mail.text().contains("Das Passwort Ihres Kontos"), "{}", mail.text());
    assert!(mail.html().contains("<html lang=\"de\">"), "{}", mail.html());
    assert!(!mail.html().contains("src="), "{}", mail.html());
    eventually("the row is deleted", async || queued(&server).await == 0).await;
}

/// RS-03: mail goes to the address as it was typed when it was set, not to the canonical form.
#[tokio::test]
async fn mail_goes_to_the_stored_spelling() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;
    let spellings = [
        "Ada.L@example.test",
        "\u{fb00}@example.test",
        "STRAßE@example.test",
        "\u{130}x@example.test",
    ];

    for spelling in spellings {
        cause_notice(&server, spelling).await;
    }

    eventually("the notices arrive", async || smtp.mails().len() == spellings.len()).await;
    for spelling in spellings {
        assert_eq!(smtp.mails_to(spelling).len(), 1, "{spelling}: {:?}", smtp.mails());
    }
}

/// The language is that of the profile, and otherwise that of the request.
#[tokio::test]
async fn locale_of_the_profile_decides_the_language() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let profile = json!({ "locale": "en-GB" });
    let request = server.request(reqwest::Method::PATCH, "/api/auth/me");
    Answer::of(request.bearer_auth(&tokens.access_token).json(&profile)).await.expect_status(200);

    change_password(&server, &tokens.access_token, PASSWORD, NEW_PASSWORD).await.expect_status(204);

    eventually("the notice arrives", async || !smtp.mails().is_empty()).await;
    assert!(smtp.mails()[0].header("Subject").starts_with("Your password at Signet"));
}

/// An SMTP server that is down delays no request. The mail is sent when the server is back.
#[tokio::test]
async fn mail_is_sent_when_the_server_is_back() {
    let smtp = SmtpServer::start().await;
    let address = smtp.address;
    let server = server_with(&smtp).await;
    drop(smtp);

    cause_notice(&server, "ada@example.test").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(queued(&server).await, 1);

    let smtp = SmtpServer::start_at(address, Duration::ZERO).await;
    eventually("the mail arrives", async || {
        server.advance_seconds(60);
        !smtp.mails().is_empty()
    })
    .await;
    eventually("the row is deleted", async || queued(&server).await == 0).await;
}

/// A mail that is refused for good becomes a dead letter at once. Neither its row in the list nor
/// the audit log contains the address. `resend` sends it again.
#[tokio::test]
async fn refused_mail_becomes_a_dead_letter() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("ada@", Behaviour::Refuse("550 5.1.1 <ada@example.test> is unknown"));
    let server = server_with(&smtp).await;

    cause_notice(&server, "ada@example.test").await;

    let dead = "outbox WHERE kind = 'dead_mail'";
    eventually("it is a dead letter", async || server.database.count(dead).await == 1).await;
    let program = Program::new(&server.database);
    let list = program.run(&["mail", "list"]).await;
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("password_changed") && list.contains("550"), "{list}");
    assert!(!list.contains("ada@") && list.lines().count() == 1, "{list}");
    let reasons = "SELECT reason FROM auth_event WHERE type = 'mail_failed'";
    assert_eq!(server.database.column::<String>(reasons).await, ["550"]);

    smtp.accept_all();
    let id = list.split_whitespace().next().unwrap();
    let nothing = program.run(&["mail", "resend", "00000000-0000-7000-8000-000000000000"]).await;
    assert!(!nothing.status.success());
    assert!(program.run(&["mail", "resend", id]).await.status.success());

    eventually("the mail arrives", async || {
        server.advance_seconds(5);
        !smtp.mails().is_empty()
    })
    .await;
    assert!(smtp.mails()[0].header("Message-ID").contains(id));
}

/// A mail that is refused temporarily stays in the queue, and becomes a dead letter after a day. It
/// does not delay a mail to another address.
#[tokio::test]
async fn temporarily_refused_mail_is_given_up_after_a_day() {
    for reply in ["451 4.7.1 greylisted", "554 5.7.1 your host is blocked"] {
        expect_retries_for_a_day(reply).await;
    }
}

async fn expect_retries_for_a_day(reply: &'static str) {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("ada@", Behaviour::Refuse(reply));
    let server = server_with(&smtp).await;
    cause_notice(&server, "ada@example.test").await;
    cause_notice(&server, "bob@example.test").await;

    eventually("the other mail is not delayed", async || smtp.mails().len() == 1).await;
    let failed = "outbox WHERE kind = 'mail' AND attempts > 0";
    eventually("it was tried", async || server.database.count(failed).await == 1).await;
    server.advance_seconds(24 * 3600);
    let dead = "outbox WHERE kind = 'dead_mail'";
    eventually("it is given up", async || server.database.count(dead).await == 1).await;
}

/// A server that stops finishes the mails that it is sending, so that none is sent twice.
#[tokio::test]
async fn mails_in_progress_are_finished_before_a_stop() {
    let smtp = SmtpServer::start_at("127.0.0.1:0".parse().unwrap(), Duration::from_secs(1)).await;
    let server = server_with(&smtp).await;
    for n in 0..3 {
        cause_notice(&server, &format!("a{n}@example.test")).await;
    }
    let claimed = "outbox WHERE kind = 'mail' AND due_at > created_at";
    eventually("they are being sent", async || server.database.count(claimed).await > 0).await;

    let server = server.restart().await;

    let sent = smtp.mails().len();
    assert!(sent > 0, "the server did not wait");
    assert_eq!(queued(&server).await, 3 - i64::try_from(sent).unwrap());
    server.advance_seconds(120);
    eventually("all are sent", async || queued(&server).await == 0).await;
    assert_eq!(smtp.mails().len(), 3);
}

/// If the SMTP server replies 421 to the mails for some recipients, mails for others are not
/// delayed, even if they were queued later.
#[tokio::test]
async fn mails_refused_with_421_delay_no_other() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("busy", Behaviour::Refuse("421 4.3.2 try again later"));
    let server = server_with(&smtp).await;
    for n in 0..4 {
        cause_notice(&server, &format!("busy{n}@example.test")).await;
    }
    let failed = "outbox WHERE kind = 'mail' AND attempts > 0";
    eventually("they were tried", async || server.database.count(failed).await == 4).await;

    cause_notice(&server, "bob@example.test").await;

    eventually("the mail arrives", async || smtp.mails_to("bob@example.test").len() == 1).await;
}

/// A reply that cannot be read may quote the address. So the reply itself is not recorded, only
/// that it cannot be read.
#[tokio::test]
async fn unreadable_reply_is_not_recorded() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("ada@", Behaviour::Refuse("no <ada@example.test> here"));
    let server = server_with(&smtp).await;
    cause_notice(&server, "ada@example.test").await;
    let waiting = "outbox WHERE kind = 'mail' AND due_at > created_at + 4000000";
    eventually("it was tried", async || server.database.count(waiting).await == 1).await;

    server.advance_seconds(24 * 3600);

    let dead = "outbox WHERE kind = 'dead_mail'";
    // Mail may have paused after the clock was advanced.
    eventually("it is given up", async || {
        server.advance_seconds(5);
        server.database.count(dead).await == 1
    })
    .await;
    let reasons = "SELECT reason FROM auth_event WHERE type = 'mail_failed'";
    let expected = "given up after a day: the reply of the server cannot be read";
    assert_eq!(server.database.column::<String>(reasons).await, [expected]);
}

/// A recipient whose mail stalls does not delay mails to others.
#[tokio::test]
async fn stalled_mail_delays_no_other() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("slow", Behaviour::Stall);
    let server = server_with(&smtp).await;
    for n in 0..3 {
        cause_notice(&server, &format!("slow{n}@example.test")).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    cause_notice(&server, "bob@example.test").await;

    eventually("the mail arrives", async || smtp.mails_to("bob@example.test").len() == 1).await;
}

/// Many mails to an SMTP server that is down leave database connections for requests.
#[tokio::test]
async fn mails_in_progress_leave_connections_for_requests() {
    let server = TestServer::with(|config| {
        mail_without_server(config);
        config.mail.mails_per_hour = 100_000;
        config.mail.mails_per_day = 100_000;
    })
    .await;
    server.sign_up("ada@example.test").await.expect_status(201);

    for _ in 0..400 {
        for email in ["ada@example.test", "nobody@example.test"] {
            let request = server.request(reqwest::Method::POST, "/api/auth/password/forgotten");
            let request = request.header("x-forwarded-for", server.new_client_address());
            Answer::of(request.json(&json!({ "email": email }))).await.expect_status(202);
        }
    }
}

/// If the connection breaks after the mail was transmitted, it is sent again, with the same
/// `Message-ID`.
#[tokio::test]
async fn mail_that_may_have_been_sent_is_sent_again() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("ada@", Behaviour::CutOffAfterData);
    let server = server_with(&smtp).await;
    cause_notice(&server, "ada@example.test").await;
    eventually("it was transmitted", async || !smtp.mails().is_empty()).await;

    smtp.accept_all();
    eventually("it is sent again", async || {
        server.advance_seconds(10);
        smtp.mails().len() >= 2 && queued(&server).await == 0
    })
    .await;

    let ids: Vec<_> = smtp.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// RS-08: an address gets at most `mails_per_hour` mails in an hour. The first mail that is dropped
/// is recorded.
#[tokio::test]
async fn mails_to_one_address_are_limited() {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| {
        with_mail(config, &url);
        config.mail.mails_per_hour = 2;
        config.mail.mails_per_day = 3;
    })
    .await;
    let tokens = server.sign_up("ada@example.test").await.tokens();
    let mut passwords = [PASSWORD, NEW_PASSWORD];
    let mut change = async || {
        let [old, new] = passwords;
        passwords.reverse();
        let changed = change_password(&server, &tokens.access_token, old, new).await;
        changed.expect_status(204);
    };

    for _ in 0..4 {
        change().await;
    }
    eventually("two mails arrive", async || smtp.mails().len() == 2).await;
    let dropped = "auth_event WHERE type = 'mail_dropped' AND reason = 'limit'";
    assert_eq!(server.database.count(dropped).await, 1);
}

/// Several instances send each mail once.
#[tokio::test]
async fn two_instances_send_each_mail_once() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;
    let other = server.another_instance().await;
    for n in 0..10 {
        cause_notice(if n % 2 == 0 { &server } else { &other }, &format!("a{n}@example.test"))
            .await;
    }

    eventually("all are sent", async || queued(&server).await == 0).await;

    assert_eq!(smtp.mails().len(), 10);
}

/// Each mail becomes a file. A file is complete, or does not exist.
#[tokio::test]
async fn mails_are_written_to_files() {
    let directory = tempfile::tempdir().unwrap();
    let transport = format!("file:{}", directory.path().display());
    let server = TestServer::with(|config| with_mail(config, &transport)).await;

    cause_notice(&server, "ada@example.test").await;

    eventually("the mail is written", async || queued(&server).await == 0).await;
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    let text = std::fs::read_to_string(files[0].path()).unwrap();
    assert!(text.contains("To: ada@example.test") && text.trim_end().ends_with("--"), "{text}");
}

/// `kill -9` loses no mail, and repeats at most those that were being sent.
#[tokio::test]
async fn killed_process_loses_no_mail() {
    let smtp =
        SmtpServer::start_at("127.0.0.1:0".parse().unwrap(), Duration::from_millis(150)).await;
    let database = TestDatabase::create().await;
    let program = Program::new(&database)
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test");
    let serving = program.serve().await;
    let payload = "{\"account_id\":\"01900000-0000-7000-8000-000000000000\",\
                   \"to\":\"ada@example.test\",\"language\":\"en\",\
                   \"content\":{\"mail\":\"password_changed\"}}";
    let (id, payload) = if database.is_postgres() {
        ("gen_random_uuid()", format!("'{payload}'::jsonb"))
    } else {
        ("randomblob(16)", format!("'{payload}'"))
    };
    let now = "(SELECT max(at) FROM auth_event)";
    database
        .execute(&format!(
            "INSERT INTO outbox (id, kind, receiver, payload, attempts, due_at, created_at) \
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) \
             SELECT {id}, 'mail', 'x', {payload}, 0, {now}, {now} FROM n"
        ))
        .await;
    eventually("some were sent", async || smtp.mails().len() > 20).await;

    serving.stop_with(Signal::KILL).await;
    let left = database.count("outbox").await;
    assert!(left > 0, "the process was killed too late");
    // The claims of the killed process expire.
    database.execute(&format!("UPDATE outbox SET due_at = {now}")).await;
    let serving = program.serve().await;
    eventually("all are sent", async || database.count("outbox").await == 0).await;

    let mut ids: Vec<_> = smtp.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    let sent = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100);
    // The killed process was sending at most 16 mails.
    assert!(sent <= 100 + 16, "{sent}");
    serving.stop_with(Signal::TERM).await;
}

/// Settings of mail are checked at the start, and no message contains a password.
#[tokio::test]
async fn invalid_mail_settings_prevent_the_start() {
    let database = TestDatabase::create().await;
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "one\ntwo\n").unwrap();
    let password = password.display().to_string();
    let from = ("SIGNET_MAIL_FROM", "id@example.test");
    for (settings, expected) in [
        (vec![("SIGNET_MAIL", "smtp://u:hunter2@mail.test"), from], "SIGNET_MAIL_PASSWORD_FILE"),
        (vec![("SIGNET_MAIL", "smtp://mail.test")], "SIGNET_MAIL_FROM"),
        (vec![("SIGNET_MAIL", "smtp://mail.test"), ("SIGNET_MAIL_FROM", "me")], "SIGNET_MAIL_FROM"),
        (vec![("SIGNET_MAIL", "smtps://u@mail.test"), from], "SIGNET_MAIL_PASSWORD_FILE"),
        (
            vec![
                ("SIGNET_MAIL", "smtps://u@mail.test"),
                from,
                ("SIGNET_MAIL_PASSWORD_FILE", &password),
            ],
            "exactly one line",
        ),
        (vec![("SIGNET_MAIL", "file:/nowhere"), from], "/nowhere"),
        (vec![("SIGNET_MAIL", "on"), from], "smtp://"),
        (vec![("SIGNET_MAIL_TEMPLATES", "/nowhere")], "/nowhere"),
    ] {
        let program = Program::new(&database);
        let program = settings.iter().fold(program, |it, (name, value)| it.with(name, value));

        let refusal = program.startup_error().await;

        assert!(refusal.contains(expected), "{settings:?}: {refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

/// A template in the folder replaces the built-in one. A template that is not valid prevents the
/// start; the message has its name and line.
#[tokio::test]
async fn templates_can_be_replaced() {
    let smtp = SmtpServer::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("test.en.txt");
    let templates = directory.path().display().to_string();
    let program = Program::without_settings(directory.path())
        .with("SIGNET_MAIL", &smtp.url())
        .with("SIGNET_MAIL_FROM", "id@example.test")
        .with("SIGNET_MAIL_TEMPLATES", &templates);
    for (text, expected) in [
        ("Subject: x\n\n{% if %}\n", "test.en.txt, line 3"),
        ("Subject: x\n{{ unknown }}\n", "test.en.txt, line 2"),
        ("Hello\n", "test.en.txt, line 1"),
    ] {
        std::fs::write(&file, text).unwrap();
        let refusal = program.startup_error().await;
        assert!(refusal.contains(expected), "{refusal}");
    }
    std::fs::write(directory.path().join("other.txt"), "").unwrap();
    assert!(program.startup_error().await.contains("other.txt"));
    std::fs::remove_file(directory.path().join("other.txt")).unwrap();
    std::fs::write(&file, "Subject: Own\n\n<b>{{ time }}</b>\n").unwrap();

    let sent = program.run(&["mail", "test", "ada@example.test"]).await;

    assert!(sent.status.success(), "{sent:?}");
    let mail = smtp.mails().remove(0);
    assert_eq!(mail.header("Subject"), "Own");
    assert!(mail.html().contains("&lt;b&gt;"), "{}", mail.html());
}

/// `signet mail test` prints the refusal of the SMTP server, or why no mail was sent. RS-03: an
/// email address cannot add a header or a recipient.
#[tokio::test]
async fn mail_test_prints_why_no_mail_was_sent() {
    let smtp = SmtpServer::start().await;
    smtp.set_behaviour("ada@", Behaviour::Refuse("550 5.1.1 no such user"));
    smtp.set_behaviour("bob@", Behaviour::Refuse("451 4.7.1 greylisted"));
    let directory = tempfile::tempdir().unwrap();
    let off = Program::without_settings(directory.path());
    let program =
        off.clone().with("SIGNET_MAIL", &smtp.url()).with("SIGNET_MAIL_FROM", "id@example.test");
    let run = async |program: &Program, address: &str| {
        let output = program.run(&["mail", "test", address]).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };

    for (address, expected) in [
        ("ada@example.test", "refused: 550 5.1.1 no such user"),
        ("bob@example.test", "would try again: 451"),
        ("eve@example.test\r\nBcc: bob@example.test", "refused"),
        ("eve@example.test, bob@example.test", "refused"),
        ("eve@example.test> SIZE=1", "refused"),
    ] {
        let (is_sent, message) = run(&program, address).await;
        assert!(!is_sent && message.contains(expected), "{address}: {message}");
    }
    assert!(smtp.mails().is_empty());
    assert_eq!(run(&program, "eve@example.test").await, (true, String::new()));
    assert_eq!(smtp.mails().len(), 1);
    assert!(run(&off, "eve@example.test").await.1.contains("mail is off"));
    let nowhere = program.with("SIGNET_MAIL", "smtp://127.0.0.1:9?tls=off");
    assert!(run(&nowhere, "eve@example.test").await.1.contains("no mail can be sent"));
}

/// A login with `user_agent` from the client address.
async fn log_in_with(server: &TestServer, user_agent: &str, client: &str) {
    let request = server.request(reqwest::Method::POST, "/api/auth/login");
    let request = request.header("user-agent", user_agent).header("x-forwarded-for", client);
    let body = json!({ "email": "ada@example.test", "password": PASSWORD });
    Answer::of(request.json(&body)).await.expect_status(200);
}

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

/// The owner is notified of a login from a device that was not seen before: another program, or
/// another network. Only known names of programs are shown.
#[tokio::test]
async fn login_from_a_new_device_is_notified() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;
    server.sign_up("ada@example.test").await.expect_status(201);
    log_in_with(&server, FIREFOX, "203.0.113.9").await;
    eventually("the first notice arrives", async || smtp.mails().len() == 1).await;
    log_in_with(&server, &FIREFOX.replace("130.0", "131.0.2"), "203.0.7.7").await;
    log_in_with(&server, FIREFOX, "198.51.100.7").await;
    eventually("the second notice arrives", async || smtp.mails().len() == 2).await;
    log_in_with(&server, "https://evil.example/", "198.51.100.7").await;
    eventually("the third notice arrives", async || smtp.mails().len() == 3).await;

    let texts: Vec<_> = smtp.mails().iter().map(smtp::Mail::text).collect();
    assert!(texts[0].contains("Firefox on Linux, 203.0.113.9"), "{}", texts[0]);
    assert!(texts[1].contains("Firefox on Linux, 198.51.100.7"), "{}", texts[1]);
    assert!(texts[2].contains("a program, 198.51.100.7"), "{}", texts[2]);
    assert!(!texts[2].contains("evil.example"), "{}", texts[2]);
}

/// The owner is notified if a refresh token is used twice. `SIGNET_MAIL_NOTICES=false` turns all
/// notices off.
#[tokio::test]
async fn reuse_of_a_refresh_token_is_notified() {
    let smtp = SmtpServer::start().await;
    let server = server_with(&smtp).await;
    let url = smtp.url();
    let silent = TestServer::with(|config| {
        with_mail(config, &url);
        config.mail.mail_notices = false;
    })
    .await;
    for (server, email) in [(&silent, "bob@example.test"), (&server, "ada@example.test")] {
        let tokens = server.sign_up(email).await.tokens();
        let newer = server.refresh(&tokens.refresh_token).await.tokens();
        server.refresh(&newer.refresh_token).await.expect_status(200);
        let reused = server.refresh(&tokens.refresh_token).await;
        reused.expect_error(401, "INVALID_REFRESH_TOKEN");
    }

    eventually("the notice arrives", async || !smtp.mails().is_empty()).await;

    let mails = smtp.mails();
    assert_eq!((mails.len(), mails[0].to.as_str()), (1, "ada@example.test"));
    assert!(mails[0].text().contains("was used twice"), "{}", mails[0].text());
}
