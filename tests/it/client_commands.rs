//! `signet client …`: the client registry on the command line.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Program, TestDatabase};

async fn run_successfully(program: &Program, arguments: &[&str]) -> String {
    let output = program.run(&[&["client"], arguments].concat()).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn run_rejected(program: &Program, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = program.run(&[&["client"], arguments].concat()).await;
    let message = String::from_utf8(stderr).unwrap();
    assert!(!status.success(), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

/// A migrated database, and the program.
async fn client_cli() -> (TestDatabase, Program) {
    let database = TestDatabase::create().await;
    let program = Program::new(&database);
    assert!(program.run(&["migrate", "up"]).await.status.success());
    (database, program)
}

/// Parses the registration that `show` prints.
fn parse_registration(shown: &str) -> Value {
    serde_json::from_str::<Value>(shown).unwrap()["client"][0].take()
}

const CALLBACK: [&str; 2] = ["--redirect-uri", "https://rp.example/cb"];

/// AZ-05: a secret of 256 random bits is printed once; the table stores a digest.
#[tokio::test]
async fn client_secret_is_printed_once_and_stored_as_a_digest() {
    let (database, program) = client_cli().await;

    let secret = run_successfully(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    let shown = run_successfully(&program, &["show", "web"]).await;
    let listed = run_successfully(&program, &["list"]).await;

    assert!(secret.starts_with("sgs_") && secret.len() == 4 + 43, "{secret}");
    assert!(!shown.contains(&secret) && !listed.contains(&secret));
    // The default registration permits either of two methods.
    assert!(listed.starts_with("web  client_secret  authorization_code"), "{listed}");
    let stored: Vec<Vec<u8>> = database.column("SELECT secret_digest FROM client").await;
    assert_eq!(stored[0], openssl::sha::sha256(secret.as_bytes()));
    let shown = parse_registration(&shown);
    assert_eq!(shown["redirect_uris"], json!(["https://rp.example/cb"]));
    assert_eq!(
        (&shown["pkce"], &shown["id_token_claims"]),
        (&json!("required-or-nonce"), &json!(false))
    );
    assert_eq!(shown["token_endpoint_auth_method"], "client_secret");
    let again = run_rejected(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    assert!(again.contains("already"), "{again}");
}

/// After a rotation, the new and the previous secret are valid, until the next rotation or
/// `--drop-previous`. After a rotation with `--now`, only the new secret is valid.
#[tokio::test]
async fn secret_rotation_keeps_the_previous_secret_valid() {
    let (database, program) = client_cli().await;
    let digests = async || -> Vec<Option<Vec<u8>>> {
        let current = database.column("SELECT secret_digest FROM client").await;
        let previous = database.column("SELECT previous_secret_digest FROM client").await;
        [current, previous].concat()
    };
    let digest = |secret: &str| Some(openssl::sha::sha256(secret.as_bytes()).to_vec());

    let first = run_successfully(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    let second = run_successfully(&program, &["rotate-secret", "web"]).await;
    assert_eq!(digests().await, [digest(&second), digest(&first)]);
    let third = run_successfully(&program, &["rotate-secret", "web"]).await;
    assert_eq!(digests().await, [digest(&third), digest(&second)]);
    for _ in 0..2 {
        run_successfully(&program, &["rotate-secret", "web", "--drop-previous"]).await;
        assert_eq!(digests().await, [digest(&third), None]);
    }
    run_successfully(&program, &["rotate-secret", "web"]).await;
    let fifth = run_successfully(&program, &["rotate-secret", "web", "--now"]).await;
    assert_eq!(digests().await, [digest(&fifth), None]);

    run_successfully(&program, &["delete", "web"]).await;
    assert_eq!(database.count("client").await, 0);
    run_rejected(&program, &["rotate-secret", "web"]).await;
    let events = database.events().await;
    let changed = ["client_changed"; 5];
    assert_eq!(events, [&["client_created"], &changed[..], &["client_deleted"]].concat());
}

/// An update changes only the fields that it names.
#[tokio::test]
async fn client_update_leaves_other_fields_unchanged() {
    let (_database, program) = client_cli().await;
    let create = "create shop --name Shop --redirect-uri https://rp.example/cb \
                  --post-logout-redirect-uri https://rp.example/bye --grant authorization_code \
                  --grant refresh_token --scope openid --audience https://api.example --no-pkce \
                  --backchannel-logout-uri https://rp.example/out --access-token-seconds 60 \
                  --consent skip --auth-method client_secret_post";
    run_successfully(&program, &create.split_whitespace().collect::<Vec<_>>()).await;
    let shown = async || parse_registration(&run_successfully(&program, &["show", "shop"]).await);
    let before = shown().await;

    assert_eq!(run_successfully(&program, &["update", "shop"]).await, "shop unchanged");
    assert_eq!(
        run_successfully(&program, &["update", "shop", "--name", "The shop"]).await,
        "shop changed"
    );
    let mut expected = before.clone();
    expected["client_name"] = json!("The shop");
    assert_eq!(shown().await, expected);
    let more = "update shop --redirect-uri https://rp.example/new --audience= --pkce \
                --backchannel-logout-uri= --scope tasks:read";
    run_successfully(&program, &more.split_whitespace().collect::<Vec<_>>()).await;
    expected["redirect_uris"] = json!(["https://rp.example/new"]);
    expected["audiences"] = json!([]);
    expected["backchannel_logout_uri"] = json!(null);
    expected["pkce"] = json!("required");
    expected["scope"] = json!("tasks:read");
    assert_eq!(shown().await, expected);
    run_rejected(&program, &["update", "shop", "--redirect-uri="]).await;
    assert_eq!(shown().await, expected);
    let unknown = run_rejected(&program, &["update", "nobody", "--name", "x"]).await;
    assert!(unknown.contains("there is no client nobody"), "{unknown}");
}

/// The output of `show` can be stored in a file and applied.
#[tokio::test]
async fn output_of_show_can_be_applied() {
    let (database, program) = client_cli().await;
    run_successfully(&program, &[&["create", "web"], &CALLBACK[..]].concat()).await;
    let file = database.directory().join("web.json");
    std::fs::write(&file, run_successfully(&program, &["show", "web"]).await).unwrap();

    assert_eq!(
        run_successfully(&program, &["apply", file.to_str().unwrap()]).await,
        "web unchanged"
    );
}

/// In the wrong directory, commands do not create a database that no server uses.
#[tokio::test]
async fn client_commands_create_no_database() {
    let directory = tempfile::TempDir::new().unwrap();
    let program = Program::without_settings(directory.path());

    for arguments in [&["list"][..], &["show", "x"], &["create", "x"], &["delete", "x"]] {
        let message = run_rejected(&program, &[arguments, &[][..]].concat()).await;
        assert!(message.contains("signet.db"), "{message}");
    }

    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Applying a file is idempotent; an invalid file changes nothing.
#[tokio::test]
async fn client_apply_is_idempotent_and_atomic() {
    let (database, program) = client_cli().await;
    let file = database.directory().join("clients.toml");
    let file = file.to_str().unwrap();
    let web = "[[client]]\nclient_id = \"web\"\nredirect_uris = [\"https://rp.example/cb\"]\n";
    let job = "[[client]]\nclient_id = \"job\"\ngrant_types = [\"client_credentials\"]\n\
               scope = \"tasks:read\"\n";

    std::fs::write(file, [web, job].concat()).unwrap();
    let first = run_successfully(&program, &["apply", file]).await;
    let second = run_successfully(&program, &["apply", file]).await;
    std::fs::write(file, [web, &job.replace("read", "write")].concat()).unwrap();
    let third = run_successfully(&program, &["apply", file]).await;
    std::fs::write(file, [job.replace("read", "all"), web.replace("https", "http")].concat())
        .unwrap();
    let broken = run_rejected(&program, &["apply", file]).await;
    std::fs::write(file, web.replace("redirect_uris", "redirect_uri")).unwrap();
    let misspelt = run_rejected(&program, &["apply", file]).await;

    let words: Vec<_> = first.lines().map(|line| line.split(' ').count()).collect();
    assert_eq!(words, [3, 3], "{first}");
    assert_eq!(second, "web unchanged\njob unchanged");
    assert_eq!(third, "web unchanged\njob changed");
    assert!(broken.contains("web: redirect_uris"), "{broken}");
    assert!(misspelt.contains("redirect_uri"), "{misspelt}");
    let job = parse_registration(&run_successfully(&program, &["show", "job"]).await);
    assert_eq!(job["scope"], "tasks:write");
}

/// Registered values appear in headers, rows and pages, so their sizes are limited. The error names
/// the limit.
#[tokio::test]
async fn registered_values_have_size_limits() {
    let (database, program) = client_cli().await;
    let file = database.directory().join("clients.json");
    let base = json!({ "client_id": "web", "redirect_uris": ["https://rp.example/cb"] });
    let uris = |count: usize| -> Vec<_> {
        (0..count).map(|n| format!("https://rp.example/{n}")).collect()
    };
    let long = |length: usize| format!("https://rp.example/{}", "a".repeat(length - 19));
    let key = json!({ "kty": "OKP", "crv": "Ed25519",
                      "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let keys = |count: usize| json!({ "keys": vec![key.clone(); count] });
    let apply = async |members: &Value| {
        let mut client = base.clone();
        let members = members.as_object().unwrap().clone();
        client.as_object_mut().unwrap().extend(members);
        std::fs::write(&file, json!({ "client": [client] }).to_string()).unwrap();
        let output = program.run(&["client", "apply", file.to_str().unwrap()]).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };

    for member in ["redirect_uris", "post_logout_redirect_uris", "audiences", "introspects"] {
        let (is_applied, message) = apply(&json!({ member: uris(50) })).await;
        assert!(is_applied, "{message}");
        for (value, rule) in [
            (uris(51), "50 entries"),
            (uris(20_000), "50 entries"),
            (vec![long(2001)], "2000 bytes"),
        ] {
            let (is_applied, message) = apply(&json!({ member: value })).await;
            assert!(!is_applied && message.contains(&format!("web: {member} ")), "{message}");
            assert!(message.contains(rule) && message.len() < 500, "{message}");
        }
    }
    assert!(apply(&json!({ "redirect_uris": [long(2000)] })).await.0);
    let (is_applied, message) = apply(&json!({ "backchannel_logout_uri": long(2001) })).await;
    assert!(!is_applied && message.contains("longer than 2000 bytes"), "{message}");
    let with =
        |jwks: Value| json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks });
    assert!(apply(&with(keys(50))).await.0);
    let mut oversized = key.clone();
    oversized["x5u"] = "a".repeat(65_536).into();
    for (jwks, rule) in [(keys(51), "50 keys"), (json!({ "keys": [oversized] }), "64 KiB")] {
        let (is_applied, message) = apply(&with(jwks)).await;
        assert!(
            !is_applied && message.contains("web: jwks ") && message.contains(rule),
            "{message}"
        );
    }
}

/// Users decide on consent by the name, so it must not contain invisible characters.
#[tokio::test]
async fn client_name_must_not_contain_invisible_characters() {
    let (database, program) = client_cli().await;
    let create = |name: &'static str| [&["create", "web", "--name", name], &CALLBACK[..]].concat();

    for name in [
        "Pay\u{200b}Pal",
        "\u{202e}lapyaP",
        "Shop\u{2066}",
        "Sh\u{ad}op",
        "Sh\u{fe0f}op",
        "\u{3164}",
        "Shop\u{feff}",
        "Shop\u{e0041}",
        "Shop\u{e000}",
        "Shop\u{2028}",
        "Sh\nop",
        " ",
    ] {
        let message = run_rejected(&program, &create(name)).await;
        assert!(message.contains("web: client_name "), "{name:?}: {message}");
        assert!(!message.contains(name.trim()) || name == " ", "{name:?}");
    }
    run_successfully(&program, &create("Łódź & Söhne – 東京 🛒")).await;
    for name in ["Sig\u{200b}net", "\u{202e}tengiS"] {
        let refusal =
            Program::new(&database).with("SIGNET_SERVICE_NAME", name).startup_error().await;
        assert!(refusal.contains("all of them visible"), "{refusal}");
    }
}

/// RU-03, MUST-037, MUST-038, MUST-139, and other registrations that must be rejected.
#[tokio::test]
async fn unsafe_registrations_are_rejected() {
    let (database, program) = client_cli().await;

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
        ("pkce", vec!["x", CALLBACK[0], CALLBACK[1], "--auth-method", "none", "--no-pkce"]),
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
        let message = run_rejected(&program, &[&["create"], &arguments[..]].concat()).await;
        assert!(message.contains(&format!(": {member} ")), "{arguments:?}: {message}");
    }
    assert_eq!(database.count("client").await, 0);
}
