//! Output of commands: to readers that exit early, to a full disk, and with untrusted text from
//! rows.

use std::fs::File;
use std::io::pipe;

use serde_json::Value;

use crate::harness::{Program, TestServer};

const ADA: &str = "ada@example.test";

/// Terminal control sequences, bidirectional controls, invisible characters, and a forged line.
const HOSTILE: &str = "\u{1b}[2J\u{9b}31m\u{202e}x\u{2066}\u{200b}\u{e0041}\r\nforged  line\u{7f}";

/// Commands that print output.
const COMMANDS: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["account", "--help"],
    &["account", "list"],
    &["account", "show", ADA],
    &["account", "why", ADA],
    &["account", "enable", ADA],
    &["account", "end-sessions", ADA],
    &["account", "reset-password", ADA],
    &["invite", "list"],
    &["client", "list"],
    &["client", "show", "shop"],
    &["client", "update", "shop"],
    &["config", "env-example"],
    &["config", "markdown"],
    &["keys", "list"],
    &["keys", "export-public"],
    &["migrate", "status"],
    &["openapi"],
];

async fn server() -> (TestServer, Program) {
    let server = TestServer::start().await;
    server.sign_up(ADA).await.expect_status(201);
    let program = Program::new(&server.database);
    let create = ["client", "create", "shop", "--redirect-uri", "https://shop.example/callback"];
    let invite = ["account", "invite", "bob@example.test"];
    for command in [&create[..], &invite] {
        assert!(program.run(command).await.status.success());
    }
    (server, program)
}

/// A1: a reader may exit early, as in `signet account list | head -3`.
#[tokio::test]
async fn command_exits_silently_when_its_reader_closes_the_pipe() {
    let (server, program) = server().await;

    let issuer = server.url("");
    let doctor: &[&str] = &["doctor", &issuer];
    for command in COMMANDS.iter().copied().chain([doctor]) {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = program.run_with_stdout(writer, command).await;

        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
        // The exit code that a shell reports for a program killed by SIGPIPE.
        assert_eq!(output.status.code(), Some(141), "{command:?}");
    }
    let output = program.run_script("\"$0\" openapi | head -1").await;
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    assert_eq!(output.stderr, b"");
}

#[tokio::test]
async fn command_reports_a_full_disk() {
    let (_server, program) = server().await;

    for command in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program.run_with_stdout(full, command).await;

        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.starts_with("error: cannot write to standard output"),
            "{command:?}: {message}"
        );
        assert!(message.contains("No space left on device"), "{command:?}: {message}");
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
}

/// If standard error cannot be written, a rejected command line and a failed start still set their
/// exit code.
#[tokio::test]
async fn exit_code_is_set_if_standard_error_cannot_be_written() {
    let (_server, program) = server().await;

    for (script, code) in [
        ("\"$0\" account show nobody@example.test 2>/dev/full", 1),
        ("\"$0\" account shew 2>/dev/full", 2),
        ("SIGNET_LOG=a=b=c \"$0\" serve >/dev/full 2>&1", 1),
    ] {
        let output = program.run_script(script).await;

        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
    }
}

/// W16: imported rows and untrusted text are escaped for the terminal, one line each.
#[tokio::test]
async fn stored_text_is_escaped_for_the_terminal() {
    let (server, program) = server().await;
    let long = format!("{HOSTILE}@example.test");
    for sql in [
        format!("UPDATE session SET address = '{HOSTILE}', client_id = '{HOSTILE}'"),
        format!("UPDATE client SET name = '{HOSTILE}'"),
        format!("UPDATE signing_key SET algorithm = '{HOSTILE}'"),
    ] {
        server.database.execute(&sql).await;
    }
    server.sign_up("eve@example.test").await.expect_status(201);
    let renamed = format!("UPDATE account SET email_canonical = '{long}' WHERE email LIKE 'eve%'");
    server.database.execute(&renamed).await;

    for (command, lines) in [
        (&["account", "list"][..], Some(2)),
        (&["account", "show", ADA], Some(12)),
        (&["client", "list"], Some(1)),
        (&["client", "show", "shop"], None),
        (&["keys", "list"], Some(1)),
    ] {
        let output = program.run(command).await;

        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let is_plain = |c: char| c == '\n' || c == ' ' || c.is_ascii_graphic();
        assert!(text.chars().all(is_plain), "{command:?}: {text:?}");
        assert!(text.contains(if lines.is_some() { "\\u{1b}[2J" } else { "\\u001b[2J" }), "{text}");
        assert!(lines.is_none_or(|lines| text.lines().count() == lines), "{command:?}: {text}");
        if lines.is_none() {
            let shown: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(shown["client"][0]["client_name"], HOSTILE);
        }
    }
}
