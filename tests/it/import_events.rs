//! Import of audit events from the database of the original application.

use crate::harness::TestServer;
use crate::harness::original::{EventRow, Original, email};

const AT: Option<&str> = Some("2026-01-14 10:00:00.123456");
const LATER: Option<&str> = Some("2026-02-01 00:00:00");
const EARLY: Option<&str> = Some("2025-12-31 23:59:59");

/// Users 1 and 2 have accounts, the account of user 3 is deleted, and user 4 has none. Two events
/// have no user.
const EVENTS: [EventRow<'_>; 11] = [
    (1, Some(1), "signup", "192.0.2.1", "Mozilla", AT),
    (2, Some(1), "LOGIN", "2001:db8::1", "Mozilla", AT),
    (3, Some(2), "login_failed", "::ffff:192.0.2.7", "curl\u{7}", LATER),
    (4, Some(2), "logout", "testclient", "", LATER),
    (5, None, "login_failed", "192.0.2.9", "curl", AT),
    (6, Some(4), "login", "192.0.2.9", "curl", AT),
    (7, Some(3), "login", "192.0.2.9", "curl", AT),
    (8, Some(1), "email_sent", "192.0.2.9", "curl", AT),
    (9, Some(1), "login", "192.0.2.9", "curl", None),
    (10, Some(1), "login", "192.0.2.10", "curl", EARLY),
    (11, None, "login", "192.0.2.11", "curl", EARLY),
];

async fn imported_events(server: &TestServer) -> Vec<String> {
    let columns = "type || ' ' || outcome || ' ' || at || ' ' || coalesce(address, '-') || ' ' || \
                   coalesce(user_agent, '-')";
    let from = "auth_event WHERE reason = 'imported from fastapi'";
    server.database.column(&format!("SELECT {columns} FROM {from} ORDER BY id")).await
}

/// IM-12: events keep type, time, client address and user agent. A repeated import adds nothing.
#[tokio::test]
async fn events_of_the_original_are_imported_once() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 3).await;
    original.add_events(&EVENTS).await;
    original.import(&server, &[]).await;
    server.account_command(&["delete", &email(3)]).await;
    let options = ["--auth-events", "--auth-events-since", "2026-01-01"];

    let before = server.database.dump().await;
    let dry = original.import(&server, &[&["--dry-run"][..], &options].concat()).await;
    assert_eq!(dry.event_counts(), [4, 0, 1, 2, 2], "{}{}", dry.stdout, dry.stderr);
    assert_eq!(server.database.dump().await, before, "a dry run writes nothing");
    let imported = original.import(&server, &options).await;
    let repeated = original.import(&server, &options).await;

    assert_eq!(imported.event_counts(), [4, 0, 1, 2, 2], "{}", imported.stdout);
    assert_eq!(imported.count("left out, because they are older than 2026-01-01T00:00:00Z"), 2);
    assert_eq!(repeated.event_counts(), [0, 4, 1, 2, 2], "{}", repeated.stdout);
    assert_eq!((imported.status, repeated.status), (1, 1));
    let id = if server.database.is_postgres() {
        "00000000-0000-0000-0000-000000000008"
    } else {
        "00000000000000000000000000000008"
    };
    let refusal = format!("auth_events id {id}: refused: the event type email_sent is not known");
    assert!(imported.stderr.contains(&refusal), "{}", imported.stderr);
    assert!(imported.stderr.contains("the member created_at is missing"), "{}", imported.stderr);
    let [first, later] = [1_768_384_800_123_456_i64, 1_769_904_000_000_000];
    let mut events = imported_events(&server).await;
    let mut expected = vec![
        format!("signup success {first} 192.0.2.1 Mozilla"),
        format!("login success {first} 2001:db8::1 Mozilla"),
        format!("login_failed failure {later} 192.0.2.7 curl\u{fffd}"),
        format!("logout success {later} - -"),
    ];
    assert!(events[..2].iter().all(|event| event.contains(&first.to_string())), "{events:?}");
    events.sort();
    expected.sort();
    assert_eq!(events, expected);
    let of_first_user = format!(
        "auth_event WHERE reason = 'imported from fastapi' AND account_id = \
         (SELECT id FROM account WHERE email = '{}')",
        email(1)
    );
    assert_eq!(server.database.count(&of_first_user).await, 2);

    let all = original.import(&server, &["--auth-events"]).await;
    assert_eq!(all.event_counts(), [1, 4, 2, 2, 2], "{}", all.stdout);
}

/// IM-12: events of more than one portion are imported after the accounts of the same import. A dry
/// run counts the events of accounts that the import would create.
#[tokio::test]
async fn events_are_imported_with_their_accounts_in_portions() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 2).await;
    let events: Vec<EventRow<'_>> =
        (0..2_500).map(|id| (id, Some(id % 3 + 1), "login", "192.0.2.1", "curl", AT)).collect();
    original.add_events(&events).await;

    let dry = original.import(&server, &["--dry-run", "--auth-events"]).await;
    let imported = original.import(&server, &["--auth-events"]).await;

    assert_eq!(dry.event_counts(), [1_667, 0, 0, 833, 0], "{}", dry.stdout);
    assert_eq!(imported.counts(), [2, 0, 0, 0, 0, 0]);
    assert_eq!(imported.event_counts(), [1_667, 0, 0, 833, 0], "{}", imported.stdout);
    assert_eq!(imported.status, 0, "{}", imported.stderr);
    assert_eq!(imported_events(&server).await.len(), 1_667);
}

/// IM-12: the import checks that it can read the table of events, before it imports anything.
#[tokio::test]
async fn table_of_events_is_checked_first() {
    let server = TestServer::start().await;
    let original = Original::create().await;
    original.add_users(1, 1).await;
    let without_table = original.import(&server, &["--auth-events"]).await;
    let log =
        "CREATE TABLE log (nr INTEGER, who VARCHAR(40), what VARCHAR(40), happened VARCHAR(40))";
    original.database.execute(log).await;
    let row = format!("INSERT INTO log VALUES (1, '{:032x}', 'logout', '2026-01-14T10:00:00Z')", 1);
    original.database.execute(&row).await;
    let map = |text: &str| server.file("map.toml", text).display().to_string();
    let short = map("[auth_events]\ntable = 'log'\nid = 'nr'\n");
    let without_column = original.import(&server, &["--auth-events", "--map", &short]).await;
    let wrong = map("[auth_events]\nwhere = 'there'\n");
    let unknown = original.import(&server, &["--auth-events", "--map", &wrong]).await;
    let ndjson = server.file("accounts.ndjson", "").display().to_string();
    let file = server.import("ndjson", &["--auth-events", &ndjson]).await;
    assert_eq!(server.database.count("account").await, 0);
    let names = "[auth_events]\ntable = 'log'\nid = 'nr'\naccount_id = 'who'\ntype = 'what'\n\
                 at = 'happened'\n";
    let mapped = original.import(&server, &["--auth-events", "--map", &map(names)]).await;

    for (output, message) in [
        (&without_table, "there is no table auth_events"),
        (&without_column, "has no column event_type or type or event"),
        (&unknown, "unknown member where"),
        (&file, "use the format fastapi"),
    ] {
        assert_eq!(output.status, 1, "{message}");
        assert!(output.stderr.contains(message), "{message}: {}", output.stderr);
    }
    assert_eq!(mapped.event_counts(), [1, 0, 0, 0, 0], "{}{}", mapped.stdout, mapped.stderr);
    assert_eq!(imported_events(&server).await, ["logout success 1768384800000000 - -"]);
}
