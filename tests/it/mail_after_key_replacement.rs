//! Mails that were queued before the master key was replaced. Their links are computed when they are
//! sent.

use serde_json::json;

use crate::harness::forge::encode;
use crate::harness::mailed::{mail_by, token_of};
use crate::harness::oauth::ISSUER;
use crate::harness::smtp::{Behaviour, Mail, SmtpServer};
use crate::harness::{Answer, PASSWORD, Program, TestServer, eventually};

const ADA: &str = "ada@example.test";
const BOB: &str = "bob@example.test";
const NEW_PASSWORD: &str = "Difference-Engine-1822";

/// A server that sends mail, the commands with its settings, and Ada's account.
async fn start() -> (SmtpServer, TestServer, Program) {
    let smtp = SmtpServer::start().await;
    let url = smtp.url();
    let server = TestServer::with(|config| mail_by(config, &url)).await;
    let program = Program::new(&server.database)
        .with("SIGNET_MAIL", &url)
        .with("SIGNET_MAIL_FROM", "id@example.test");
    server.sign_up(ADA).await.expect_status(201);
    (smtp, server, program)
}

/// As [`start`]. Ada has asked for a new password, and Bob is invited, but the SMTP server does not
/// accept mails yet.
async fn with_waiting_mails() -> (SmtpServer, TestServer, Program) {
    let (smtp, server, program) = start().await;
    smtp.set_behaviour("@", Behaviour::Refuse("451 try again later"));
    server.post("/api/auth/password/forgotten", &json!({ "email": ADA })).await.expect_status(202);
    invite(&program).await;
    (smtp, server, program)
}

async fn invite(program: &Program) {
    let invited = program.run(&["account", "invite", BOB]).await;
    assert!(invited.status.success(), "{invited:?}");
}

fn new_key() -> String {
    encode([7; 32])
}

/// Writes the lines of the key file; returns its previous content.
fn write_keys(server: &TestServer, keys: &[&str]) -> String {
    let file = server.database.master_key_file();
    let previous = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    std::fs::write(&file, keys.join("\n")).unwrap();
    previous
}

async fn run(program: &Program, arguments: &[&str]) -> String {
    let output = program.run(arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Advances the server's clock until the mails arrive. The commands, which queue some of them, use
/// the real clock, which is ahead.
async fn receive(server: &TestServer, smtp: &SmtpServer, number: usize) -> Vec<Mail> {
    eventually("the mails arrive", async || {
        server.advance_seconds(1);
        smtp.mails().len() >= number
    })
    .await;
    smtp.mails()
}

async fn sign_up_by(server: &TestServer, mails: &[Mail]) -> Answer {
    let text = mails.iter().find(|mail| mail.to == BOB).unwrap().text();
    let prefix = format!("{ISSUER}/signup?invite=");
    let token = text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap();
    let body = json!({ "email": BOB, "password": PASSWORD, "invite": token });
    server.post("/api/auth/signup", &body).await
}

/// While the old key is in the file, all mails are sent, and their links work.
#[tokio::test]
async fn mails_are_sent_while_the_old_key_is_in_the_file() {
    let (smtp, server, _program) = with_waiting_mails().await;
    let old = write_keys(&server, &[]);
    write_keys(&server, &[&new_key(), &old]);

    let server = server.restart().await;
    smtp.accept_all();
    let mails = receive(&server, &smtp, 2).await;

    sign_up_by(&server, &mails).await.expect_status(201);
    let text = mails.iter().find(|mail| mail.to == ADA).unwrap().text();
    let link = text.lines().find(|line| line.starts_with("https://")).unwrap();
    let body = json!({ "token": token_of(link), "new_password": NEW_PASSWORD });
    server.post("/api/auth/password/reset", &body).await.expect_status(204);
}

/// An instance that has not restarted with the new key leaves the mail to one that has.
#[tokio::test]
async fn instance_without_the_new_key_does_not_drop_the_invite() {
    let (smtp, server, program) = start().await;
    let old = write_keys(&server, &[]);
    write_keys(&server, &[&new_key(), &old]);
    invite(&program).await;
    eventually("the instance has tried", async || {
        server.advance_seconds(1);
        server.database.count("outbox WHERE attempts > 0").await > 0
    })
    .await;
    assert!(smtp.mails().is_empty());

    let server = server.restart().await;
    let mails = receive(&server, &smtp, 1).await;

    sign_up_by(&server, &mails).await.expect_status(201);
}

/// Without the old key, the invite becomes a dead letter that says what to do. The reset link, of
/// which nothing is stored, is made with the new key. Once the old key is back, the invite can be
/// sent.
#[tokio::test]
async fn invite_whose_key_is_gone_becomes_a_dead_letter() {
    let (smtp, server, program) = with_waiting_mails().await;
    let old = write_keys(&server, &[]);
    write_keys(&server, &[&new_key(), &old]);
    run(&program, &["keys", "reseal"]).await;
    write_keys(&server, &[&new_key()]);
    let server = server.restart().await;
    smtp.accept_all();

    let mails = receive(&server, &smtp, 1).await;
    assert_eq!(mails[0].to, ADA);
    eventually("the invite is a dead letter", async || {
        server.advance_seconds(60);
        server.database.count("outbox WHERE kind = 'dead_mail'").await == 1
    })
    .await;
    let listed = run(&program, &["mail", "list"]).await;
    assert!(
        listed.contains("  invite  ") && listed.contains("invite the address again"),
        "{listed}"
    );
    assert!(!listed.contains(BOB), "{listed}");

    write_keys(&server, &[&new_key(), &old]);
    let server = server.restart().await;
    // The clock of the server is ahead of that of the command.
    server.database.execute("UPDATE outbox SET due_at = created_at WHERE kind = 'dead_mail'").await;
    run(&program, &["mail", "resend", "--all"]).await;
    let mails = receive(&server, &smtp, 2).await;

    sign_up_by(&server, &mails).await.expect_status(201);
}
