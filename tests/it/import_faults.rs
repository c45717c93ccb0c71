//! Import of accounts from damaged files, and from files with accounts that cannot be imported.

use serde_json::json;

use crate::harness::{PASSWORD, TestServer};

const HASH: &str = "$2b$04$vFmJhQ79wYCLbH.Cg9X52eZ06ddKBiU9lj8xk1kXDXzB8nCEw48xG";

/// A line of Signet's own format.
fn line(number: u32) -> String {
    json!({ "id": number.to_string(), "email": format!("a{number}@example.test"),
            "password_hash": HASH })
    .to_string()
}

async fn addresses(server: &TestServer) -> Vec<String> {
    server.database.column("SELECT email FROM account ORDER BY email").await
}

/// IM-09: a line that cannot be read is refused, and the lines after it are imported.
#[tokio::test]
async fn damaged_lines_are_refused_and_the_others_are_imported() {
    let server = TestServer::start().await;
    let mut file = Vec::new();
    let long = [b"{\"id\": \"3\", \"email\": \"", &vec![b'x'; 3_000_000][..], b"\"}"].concat();
    let [first, eighth, ninth] = [1, 8, 9].map(line);
    let lines: [&[u8]; 9] = [
        first.as_bytes(),
        b"{\"id\": \"2\", \"email\": \"a2@exam\xff\xfeple.test\"}",
        &long,
        b"[1, 2]",
        b"",
        b"{\"id\": \"6\", \"email\": \"a6@example.test\", \"pasword_hash\": \"x\"}",
        b"{\"id\": \"7\" \"email\"}",
        eighth.as_bytes(),
        &ninth.as_bytes()[..40],
    ];
    for line in lines {
        file.extend_from_slice(line);
        file.push(b'\n');
    }
    file.pop();
    let path = server.file("accounts.ndjson", &file);
    let report = server.database.directory().join("report.txt");

    let arguments = ["--report", report.to_str().unwrap(), path.to_str().unwrap()];
    let imported = server.import("ndjson", &arguments).await;

    assert_eq!(imported.status, 1);
    assert_eq!(imported.counts(), [2, 0, 0, 0, 0, 6], "{}", imported.stdout);
    assert!(imported.stderr.contains("6 records were refused"), "{}", imported.stderr);
    let report = std::fs::read_to_string(&report).unwrap();
    let expected = [
        "line 2: refused: the line is not UTF-8",
        "line 3: refused: the line is longer than 1 MiB",
        "line 4: refused: the line is not a JSON object",
        "line 6: refused: the member pasword_hash is not known",
        "line 7: refused: the line is not valid JSON at column 12",
        "line 9: refused: the line is truncated: its JSON is incomplete",
    ];
    let findings: Vec<&str> = report.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(findings, expected);
    assert_eq!(addresses(&server).await, ["a1@example.test", "a8@example.test"]);
}

/// IM-09: the import stops at the damage in a JSON document. It keeps the accounts before the
/// damage, and an import of the corrected file adds the others.
#[tokio::test]
async fn damaged_document_stops_the_import_and_can_be_repeated() {
    let server = TestServer::start().await;
    let whole = format!("[{}, {}, {}]", line(1), line(2), line(3));
    let cases = [
        (whole[..whole.len() - 20].to_owned(), 2),
        (whole.replace("\"id\":\"3\"", "\"id\":"), 2),
        (whole.replace("\"id\":\"3\"", &format!("\"id\":\"{}\"", "9".repeat(2_000_000))), 2),
        (format!("{whole} more"), 3),
    ];

    for (text, number) in cases {
        let stopped = server.import_text("ndjson", "accounts.json", &text).await;
        assert_eq!(stopped.status, 1);
        let message = format!("cannot read the file after record {number}");
        assert!(stopped.stderr.contains(&message), "{}", stopped.stderr);
        assert!(stopped.stderr.contains("it may be repeated"), "{}", stopped.stderr);
        assert_eq!(server.database.count("account").await, number);
    }
    let repeated = server.import_text("ndjson", "accounts.json", &whole).await;

    assert_eq!(repeated.counts(), [0, 0, 3, 0, 0, 0], "{}", repeated.stderr);
    assert_eq!(server.database.count("account").await, 3);
}

/// IM-09: a CSV record with too many columns or with bytes that are not UTF-8 is refused. A file
/// that cannot be divided into records stops the import.
#[tokio::test]
async fn damaged_csv_is_refused() {
    let server = TestServer::start().await;
    let csv = b"id,email\n1,a1@example.test\n2,a2@example.test,more\n3,a\xff@example.test\n4,a4@example.test\n";
    let path = server.file("accounts.csv", csv);

    let imported = server.import("ndjson", &[path.to_str().unwrap()]).await;

    assert_eq!(imported.counts(), [2, 0, 0, 0, 0, 2], "{}", imported.stderr);
    assert!(imported.stderr.contains("line 3: refused: the record has 3 columns instead of 2"));
    assert!(imported.stderr.contains("line 4: refused: the record is not UTF-8"));
    let unclosed = format!("id,email\n5,\"{}", "x\n".repeat(2_000_000));
    let stopped = server.import_text("ndjson", "unclosed.csv", &unclosed).await;
    assert!(stopped.stderr.contains("a record is longer than 1 MiB"), "{}", stopped.stderr);
    let twice = server.import_text("ndjson", "twice.csv", "id,email,id\n1,a,1\n").await;
    assert!(twice.stderr.contains("two columns of the CSV file"), "{}", twice.stderr);
    let utf16 = server.file("utf16.csv", b"\xff\xfei\0d\0");
    let utf16 = server.import("ndjson", &[utf16.to_str().unwrap()]).await;
    assert!(utf16.stderr.contains("convert it to UTF-8"), "{}", utf16.stderr);
}

/// IM-03, IM-05: accounts are never merged. A dry run refuses the same records as the import.
#[tokio::test]
async fn address_or_id_of_another_account_is_refused() {
    let server = TestServer::start().await;
    let ada = server.sign_up("straße@example.test").await.tokens().user_id;
    let record = |id: &str, email: &str| {
        json!({ "id": id, "email": email, "password_hash": HASH }).to_string()
    };
    let lines = [
        record("1", "STRASSE@example.test"),
        record(&ada.to_string(), "other@example.test"),
        record("3", "a3@example.test"),
        record("3", "b3@example.test"),
        record("4", "A3@Example.test"),
        record("", "a5@example.test"),
        record("6", "a6@localhost"),
        record("7", "a b@example.test"),
        record("00000000-0000-0000-0000-000000000000", "a8@example.test"),
        json!({ "id": "9" }).to_string(),
        json!({ "id": "10", "email": "a10@example.test", "created_at": "yesterday" }).to_string(),
    ];
    let path = server.file("accounts.ndjson", lines.join("\n"));
    let path = path.to_str().unwrap();

    let dry = server.import("ndjson", &["--dry-run", path]).await;
    let imported = server.import("ndjson", &[path]).await;

    assert_eq!(imported.counts(), [1, 0, 0, 0, 0, 10], "{}", imported.stderr);
    assert_eq!(dry.counts(), imported.counts());
    assert_eq!(dry.stderr, imported.stderr);
    let expected = [
        &format!("line 1: refused: the email address belongs to the account {ada}"),
        "line 2: refused: an account with this id has another email address",
        "line 4: refused: an earlier record has the same id",
        "line 5: refused: an earlier record has the same email address",
        "line 6: refused: there is no id",
        "line 7: refused: the email address has a domain that is not valid",
        "line 8: refused: the email address has a part before the @ that is not valid",
        "line 9: refused: the id is not valid",
        "line 10: refused: there is no email address",
        "line 11: refused: the member created_at is not valid",
        "error: 10 records were refused",
    ];
    assert_eq!(imported.stderr.lines().collect::<Vec<_>>(), expected);
    server.log_in("straße@example.test", PASSWORD).await.expect_status(200);
    assert_eq!(addresses(&server).await, ["a3@example.test", "straße@example.test"]);
}

/// Control characters in a source must not reach the terminal.
#[tokio::test]
async fn report_escapes_control_characters() {
    let server = TestServer::start().await;
    let text = json!({ "id": "1", "email": "a@example.test", "\u{1b}[2J\u{202e}": 1 }).to_string();

    let imported = server.import_text("ndjson", "accounts.ndjson", &text).await;

    assert!(!imported.stderr.contains('\u{1b}') && !imported.stderr.contains('\u{202e}'));
    assert!(imported.stderr.contains("\\u{1b}[2J"), "{}", imported.stderr);
}

/// A file that is not the map of `--map` may be confidential. The error names the line, and does not
/// quote it.
#[tokio::test]
async fn error_in_the_map_names_the_line_only() {
    let server = TestServer::start().await;
    let map = server.file("map.toml", "email = \"mail\"\nsigner_key: c2VjcmV0\n");
    let accounts = server.file("accounts.ndjson", "");

    let arguments = ["--map", map.to_str().unwrap(), accounts.to_str().unwrap()];
    let imported = server.import("ndjson", &arguments).await;

    assert!(imported.stderr.contains("map.toml, line 2: "), "{}", imported.stderr);
    assert!(!imported.stderr.contains("c2VjcmV0"), "{}", imported.stderr);
}
