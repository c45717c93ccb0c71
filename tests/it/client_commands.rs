//! `signet client …`: the registry, as operators use it.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Program, TestDatabase};

async fn ok(program: &Program, arguments: &[&str]) -> String {
    let output = program.run(&[&["client"], arguments].concat()).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn refused(program: &Program, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = program.run(&[&["client"], arguments].concat()).await;
    let said = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

const CALLBACK: [&str; 2] = ["--redirect-uri", "https://rp.example/cb"];

/// AZ-05: a secret of 256 random bits is shown once, and the table has nothing to show.
#[tokio::test]
async fn a_secret_is_shown_once_and_stored_as_a_digest() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);

    let secret = ok(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    let shown = ok(&program, &["show", "web"]).await;
    let listed = ok(&program, &["list"]).await;

    assert!(secret.starts_with("sgs_") && secret.len() == 4 + 43, "{secret}");
    assert!(!shown.contains(&secret) && !listed.contains(&secret));
    let stored: Vec<Vec<u8>> = database.column("SELECT secret_digest FROM client").await;
    assert_eq!(stored[0], openssl::sha::sha256(secret.as_bytes()));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["redirect_uris"], json!(["https://rp.example/cb"]));
    assert_eq!(shown["require_pkce"], true);
    let again = refused(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    assert!(again.contains("already"), "{again}");
}

/// Two secrets live side by side until the next rotation.
#[tokio::test]
async fn rotating_a_secret_keeps_the_one_before() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let digests = async || -> Vec<Option<Vec<u8>>> {
        let current = database.column("SELECT secret_digest FROM client").await;
        let previous = database.column("SELECT previous_secret_digest FROM client").await;
        [current, previous].concat()
    };
    let digest = |secret: &str| Some(openssl::sha::sha256(secret.as_bytes()).to_vec());

    let first = ok(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    let second = ok(&program, &["rotate-secret", "web"]).await;
    assert_eq!(digests().await, [digest(&second), digest(&first)]);
    let third = ok(&program, &["rotate-secret", "web"]).await;
    assert_eq!(digests().await, [digest(&third), digest(&second)]);
    let fourth = ok(&program, &["rotate-secret", "web", "--drop-previous"]).await;
    assert_eq!(digests().await, [digest(&fourth), None]);

    ok(&program, &["delete", "web"]).await;
    assert_eq!(database.count("client").await, 0);
    refused(&program, &["rotate-secret", "web"]).await;
    let events = database.events().await;
    let changed = ["client_changed"; 3];
    assert_eq!(events, [&["client_created"], &changed[..], &["client_deleted"]].concat());
}

/// A file can be applied again and again; a broken one changes nothing at all.
#[tokio::test]
async fn applying_a_file_is_idempotent_and_all_or_nothing() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    let file = database.directory().join("clients.toml");
    let file = file.to_str().unwrap();
    let web = "[[client]]\nclient_id = \"web\"\nredirect_uris = [\"https://rp.example/cb\"]\n";
    let job = "[[client]]\nclient_id = \"job\"\ngrant_types = [\"client_credentials\"]\n\
               scope = \"tasks:read\"\n";

    std::fs::write(file, [web, job].concat()).unwrap();
    let first = ok(&program, &["apply", file]).await;
    let second = ok(&program, &["apply", file]).await;
    std::fs::write(file, [web, &job.replace("read", "write")].concat()).unwrap();
    let third = ok(&program, &["apply", file]).await;
    std::fs::write(file, [job.replace("read", "all"), web.replace("https", "http")].concat())
        .unwrap();
    let broken = refused(&program, &["apply", file]).await;
    std::fs::write(file, web.replace("redirect_uris", "redirect_uri")).unwrap();
    let misspelt = refused(&program, &["apply", file]).await;

    let words: Vec<_> = first.lines().map(|line| line.split(' ').count()).collect();
    assert_eq!(words, [3, 3], "{first}");
    assert_eq!(second, "web unchanged\njob unchanged");
    assert_eq!(third, "web unchanged\njob changed");
    assert!(broken.contains("web: redirect_uris"), "{broken}");
    assert!(misspelt.contains("redirect_uri"), "{misspelt}");
    let job: Value = serde_json::from_str(&ok(&program, &["show", "job"]).await).unwrap();
    assert_eq!(job["scope"], "tasks:write");
}

/// RU-03, MUST-037, MUST-038, MUST-139 and the rest of what must not be registered.
#[tokio::test]
async fn what_would_be_unsafe_cannot_be_registered() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);

    for (member, arguments) in [
        ("client_id", vec!["0197a1b2-0000-7000-8000-000000000000"]),
        ("client_id", vec!["signet"]),
        ("client_id", vec!["a b"]),
        ("redirect_uris", vec!["x"]),
        ("redirect_uris", vec!["x", "--redirect-uri", "http://rp.example/cb"]),
        ("redirect_uris", vec!["x", "--redirect-uri", "http://127.0.0.1/cb"]),
        ("redirect_uris", vec!["x", "--redirect-uri", "https://rp.example/cb#f"]),
        ("redirect_uris", vec!["x", "--redirect-uri", "/cb"]),
        ("redirect_uris", vec!["x", "--redirect-uri", "javascript:alert(1)"]),
        (
            "redirect_uris",
            vec!["x", "--application-type", "native", "--redirect-uri", "DATA:text/html,x"],
        ),
        ("require_pkce", vec!["x", CALLBACK[0], CALLBACK[1], "--auth-method", "none", "--no-pkce"]),
        ("grant_types", vec!["x", "--auth-method", "none", "--grant", "client_credentials"]),
        ("grant_types", vec!["x", CALLBACK[0], CALLBACK[1], "--grant", "password"]),
        ("jwks", vec!["x", CALLBACK[0], CALLBACK[1], "--auth-method", "private_key_jwt"]),
        ("audiences", vec!["x", CALLBACK[0], CALLBACK[1], "--audience", "api"]),
        ("scope", vec!["x", CALLBACK[0], CALLBACK[1], "--scope", "a\"b"]),
        ("consent", vec!["x", CALLBACK[0], CALLBACK[1], "--consent", "never"]),
        (
            "consent",
            vec![
                "x",
                "--application-type=native",
                "--auth-method=none",
                "--redirect-uri=http://127.0.0.1/cb",
                "--consent=skip",
            ],
        ),
        (
            "post_logout_redirect_uris",
            vec!["x", CALLBACK[0], CALLBACK[1], "--post-logout-redirect-uri", "//evil.example"],
        ),
    ] {
        let said = refused(&program, &[&["create"], &arguments[..]].concat()).await;
        assert!(said.contains(&format!(": {member} ")), "{arguments:?}: {said}");
    }
    assert_eq!(database.count("client").await, 0);
}
