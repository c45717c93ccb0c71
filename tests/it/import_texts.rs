//! Import of records with texts that are not valid, from all kinds of sources. Each of these
//! records is refused, and the others are imported.

use serde_json::json;

use crate::harness::original::{Original, email};
use crate::harness::{Imported, TestServer};

/// Records for both `auth0`, with the id in `user_id`, and `keycloak`, with the id in `id`. Records
/// 1, 5 and 8 are valid.
const RECORDS: [&[u8]; 8] = [
    br#"{"id": "1", "user_id": "1", "email": "a1@example.test"}"#,
    b"{\"id\": \"2\", \"user_id\": \"2\", \"email\": \"a\xff\xfe2@example.test\"}",
    br#"{"id": "3", "user_id": "3", "email": "a3@example.test", "name": "\ud800 alone"}"#,
    b"{\"id\": \"4\", \"user_id\": \"4\", \"email\": \"a\x004@example.test\"}",
    br#"{"id": 5, "user_id": 5, "email": "a5@example.test"}"#,
    br#"{"id": "6", "user_id": "6", "email": 6}"#,
    br#"{"id": "7", "user_id": "7", "email": "a7\u0000@example.test"}"#,
    br#"{"id": "8", "user_id": "8", "email": "a8@example.test", "name": "Zo\u00eb \ud83d\ude00"}"#,
];

const REASONS: [&str; 5] = [
    "2: refused: the UNIT is not UTF-8",
    "3: refused: the UNIT is not valid JSON at column ",
    "4: refused: the UNIT is not valid JSON at column ",
    "6: refused: the email address must contain exactly one @",
    "7: refused: the email address has a part before the @ that is not valid",
];

#[track_caller]
fn expect_refusals(imported: &Imported, unit: &str) {
    assert_eq!(imported.counts(), [3, 0, 0, 0, 0, 5], "{}{}", imported.stdout, imported.stderr);
    let lines: Vec<&str> = imported.stderr.lines().collect();
    assert_eq!(lines.len(), REASONS.len() + 1, "{}", imported.stderr);
    for (line, reason) in lines.iter().zip(REASONS) {
        let expected = format!("{unit} {}", reason.replace("UNIT", unit));
        assert!(line.starts_with(&expected), "{line} instead of {expected}");
    }
}

/// IM-09: records in a JSON array, and in a JSON object that has further members.
#[tokio::test]
async fn invalid_texts_of_a_json_document_are_refused() {
    let array = [b"[", &RECORDS.join(&b",\n"[..])[..], b"]"].concat();
    let before: &[u8] = b"{\"realm\": \"caf\xe9\", \"users\": ";
    let realm = [before, &array, b", \"roles\": {\"n\": \"\xff\\ud800\"}}"].concat();

    for (format, content) in [("auth0", &array), ("keycloak", &realm)] {
        let server = TestServer::start().await;
        let path = server.file("users.json", content);

        let imported = server.import(format, &[path.to_str().unwrap()]).await;

        expect_refusals(&imported, "record");
    }
}

/// IM-09: records in NDJSON.
#[tokio::test]
async fn invalid_texts_of_lines_are_refused() {
    let server = TestServer::start().await;
    let path = server.file("users.json", RECORDS.join(&b"\n"[..]));

    let imported = server.import("auth0", &[path.to_str().unwrap()]).await;

    expect_refusals(&imported, "line");
}

/// IM-09: records in CSV. A control character is part of a text, and is refused only in an email
/// address.
#[tokio::test]
async fn invalid_texts_of_csv_are_refused() {
    let server = TestServer::start().await;
    let csv =
        b"id,email,name\n1,a1@example.test,Ada\n2,a\xff@example.test,B\n3,a\x003@example.test,C\n\
                4,a4@example.test,D\x00\n\x005,a5@example.test,E\n";
    let path = server.file("users.csv", csv);
    let map = server.file("map.toml", "");

    let arguments = ["--map", map.to_str().unwrap(), path.to_str().unwrap()];
    let imported = server.import("django", &arguments).await;

    assert_eq!(imported.counts(), [3, 0, 0, 0, 0, 2], "{}", imported.stderr);
    assert!(imported.stderr.contains("line 3: refused: the record is not UTF-8"));
    assert!(imported.stderr.contains("line 4: refused: the email address has a part before the @"));
}

/// IM-09: rows in the database of the original. A repeated import refuses the same rows.
#[tokio::test]
async fn invalid_texts_of_a_table_are_refused() {
    let server = TestServer::start().await;
    let original = Original::with_encoding("SQL_ASCII").await;
    original.add_users(1, 5).await;
    let database = &original.database;
    let (invalid, id) = if database.is_postgres() {
        ("E'a\\xff2@example.test'", "00000000-0000-0000-0000-000000000002")
    } else {
        ("CAST(x'61ff3240782e74657374' AS TEXT)", "00000000000000000000000000000002")
    };
    database
        .execute(&format!("UPDATE users SET email = {invalid} WHERE email LIKE 'User2%'"))
        .await;
    if !database.is_postgres() {
        for (number, change) in [
            (3, "email = CAST(x'61003340782e74657374' AS TEXT)"),
            (4, "email = x'ff00'"),
            (5, "last_login = 9e999"),
        ] {
            let sql = format!("UPDATE users SET {change} WHERE email LIKE 'User{number}%'");
            database.execute(&sql).await;
        }
    }

    let imported = original.import(&server, &[]).await;

    let place = format!("id {id}: refused: the row is not UTF-8");
    assert!(imported.stderr.contains(&place), "{}", imported.stderr);
    let refused = if database.is_postgres() { 1 } else { 4 };
    assert_eq!(imported.counts(), [5 - refused, 0, 0, 0, 0, refused], "{}", imported.stderr);
    let emails = server.database.column::<String>("SELECT email_canonical FROM account").await;
    assert!(emails.contains(&email(1)), "{emails:?}");
    let repeated = original.import(&server, &[]).await;
    assert_eq!(repeated.counts(), [0, 0, 5 - refused, 0, 0, refused], "{}", repeated.stderr);
}

/// IM-09: a column that is not imported may have text that PostgreSQL's `jsonb` refuses.
#[tokio::test]
async fn escapes_in_other_columns_do_not_stop_the_import() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 2).await;
    original.database.execute("ALTER TABLE users ADD COLUMN settings json").await;
    let escaped = json!({ "a": "b\u{0}c" }).to_string();
    original.database.execute(&format!("UPDATE users SET settings = '{escaped}'")).await;

    let imported = original.import(&server, &[]).await;

    assert_eq!(imported.counts(), [2, 0, 0, 0, 0, 0], "{}", imported.stderr);
}
