//! Export of accounts, and their import into another database.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::{PASSWORD, Program, TestServer};

/// The columns that an export keeps, except `profile`, whose members databases may reorder.
async fn accounts(server: &TestServer) -> Vec<Vec<String>> {
    let dump = server.database.dump().await;
    let columns = [
        "id",
        "email",
        "email_canonical",
        "email_folded",
        "email_ambiguous",
        "password_hash",
        "email_verified_at",
        "disabled_at",
        "last_login_at",
        "created_at",
        "profile_updated_at",
    ];
    columns.map(|column| dump[&("account".to_owned(), column.to_owned())].clone()).to_vec()
}

/// IM-11: an export that is imported into another database gives the same accounts.
#[tokio::test]
async fn export_and_import_give_the_same_accounts() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada@example.test").await.tokens();
    let profile = json!({ "given_name": "Ada", "address": { "locality": "London" } });
    let request = server.request(reqwest::Method::PATCH, "/api/auth/me");
    let patched = request.bearer_auth(&ada.access_token).json(&profile).send().await.unwrap();
    assert_eq!(patched.status(), 200);
    for email in ["straße@example.test", "off@example.test", "gone@example.test"] {
        server.sign_up(email).await.expect_status(201);
    }
    server.account_command(&["disable", "off@example.test"]).await;
    server.account_command(&["delete", "gone@example.test"]).await;
    // Rows of earlier versions: an address as typed, and two ambiguous addresses.
    let rows = "UPDATE account SET email = 'Ada@example.test', email_verified_at = 1768384800123456 \
                WHERE email = 'ada@example.test'";
    server.database.execute(rows).await;
    let ambiguous = |id: &str, email: &str, folded: &str| {
        let id = if server.database.is_postgres() { format!("'{id}'") } else { format!("x'{id}'") };
        format!(
            "INSERT INTO account (id, email, email_canonical, email_folded, email_ambiguous, created_at) \
             VALUES ({id}, '{email}', '{email}', {folded}, true, 1)"
        )
    };
    for (id, email, folded) in [
        ("00000000000040008000000000000001", "ff@example.test", "'ff@example.test'"),
        ("00000000000040008000000000000002", "\u{fb00}@example.test", "NULL"),
    ] {
        server.database.execute(&ambiguous(id, email, folded)).await;
    }
    let path = server.database.directory().join("accounts.ndjson");
    let path = path.to_str().unwrap();
    let program = Program::new(&server.database);

    let output = program.run(&["export", "accounts", "--output", path]).await;
    let to_stdout = program.run(&["export", "accounts"]).await;
    let again = program.run(&["export", "accounts", "--output", path]).await;

    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(String::from_utf8(to_stdout.stdout).unwrap(), text);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(text.lines().count(), 5);
    let other = TestServer::start().await;
    let imported = other.import("ndjson", &["--trust-verified", path]).await;
    assert_eq!(imported.counts(), [5, 0, 0, 0, 0, 0], "{}", imported.stderr);
    assert_eq!(accounts(&other).await, accounts(&server).await);
    let ada_there = other.log_in("ada@example.test", PASSWORD).await.tokens();
    let me = other.me(&ada_there.access_token).await.json();
    assert_eq!(me, server.me(&ada.access_token).await.json());
    assert_eq!(me["address"]["locality"], "London");
    other.log_in("STRASSE@example.test", PASSWORD).await.expect_status(200);

    // The first database already has these accounts, so the import changes nothing.
    let own = server.import("ndjson", &["--trust-verified", path]).await;
    assert_eq!(own.counts(), [0, 0, 5, 0, 0, 0], "{}", own.stderr);
}

/// The export reads accounts in portions. With several portions, it contains each account once.
#[tokio::test]
async fn export_contains_every_account_once() {
    let server = TestServer::start().await;
    let line = |number: u32| {
        json!({ "id": number.to_string(), "email": format!("a{number}@example.test") }).to_string()
    };
    let lines: Vec<String> = (0..1_203).map(line).collect();
    server.import_text("ndjson", "accounts.ndjson", &lines.join("\n")).await;

    let output = Program::new(&server.database).run(&["export", "accounts"]).await;

    let text = String::from_utf8(output.stdout).unwrap();
    let lines: BTreeSet<&str> = text.lines().collect();
    assert_eq!((lines.len(), text.lines().count()), (1_203, 1_203));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1203 accounts exported"));
}

/// IM-11: an export that is killed leaves an incomplete file under a temporary name, and none under
/// the name of the export.
#[tokio::test]
async fn killed_export_leaves_no_file_with_the_name_of_the_export() {
    let server = TestServer::start().await;
    let line = |number: u32| {
        json!({ "id": number.to_string(), "email": format!("a{number}@example.test") }).to_string()
    };
    let lines: Vec<String> = (0..20_000).map(line).collect();
    let path = server.file("accounts.ndjson", lines.join("\n"));
    server.import("ndjson", &[path.to_str().unwrap()]).await;
    let folder = server.database.directory().join("export");
    std::fs::create_dir(&folder).unwrap();
    let target = folder.join("accounts.ndjson");
    // Kills the export as soon as a file in its folder is not empty. An export that has ended
    // before is repeated.
    let script = "rm -f export/*; \"$0\" export accounts --output export/accounts.ndjson & \
                  until find export -type f -size +0 | grep -q .; do :; done; \
                  kill -9 $!; wait $!";
    let program = Program::new(&server.database);

    let mut killed = program.run_script(script).await;
    for _ in 0..10 {
        if killed.status.code() != Some(0) {
            break;
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap().lines().count(), 20_000);
        killed = program.run_script(script).await;
    }

    assert_eq!(killed.status.code(), Some(128 + 9), "{killed:?}");
    assert!(!target.exists(), "an incomplete file has the name of the export");
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = program.run(&["export", "accounts", "--output", target.to_str().unwrap()]).await;
    assert!(again.status.success(), "{again:?}");
    assert_eq!(std::fs::read_to_string(&target).unwrap().lines().count(), 20_000);
}
