//! Of many concurrent wrong logins, no more are checked than if they were sent one after another.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::TestServer;

const CONCURRENT_LOGINS: usize = 64;
const CLIENT_ADDRESS: &str = "203.0.113.9";

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.limits.account_attempts_per_minute = 1_000;
        // Even on a slow machine, no login is rejected because the hashing threads are busy.
        config.passwords.hash_backlog_seconds = 60;
    })
    .await
}

/// Sends all attempts concurrently to the instances. Returns how many were checked, and how many
/// were refused without a check.
async fn send_all(instances: &[&TestServer]) -> (usize, usize) {
    let attempts =
        instances.iter().cycle().take(CONCURRENT_LOGINS).enumerate().map(|(number, instance)| {
            let email = format!("nobody{number}@example.test");
            async move { instance.log_in_from(CLIENT_ADDRESS, &email, "wrong").await }
        });
    let answers = join_all(attempts).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert!(answers.iter().all(|answer| answer.took < Duration::from_secs(20)));
    // A busy database may cause a 503. The password of that login has not been checked.
    (count(401), count(429) + count(503))
}

/// AT-06: one instance.
#[tokio::test]
async fn concurrent_wrong_logins_are_limited_to_five() {
    let server = server().await;

    let outcome = send_all(&[&server]).await;

    assert_eq!(outcome, (5, CONCURRENT_LOGINS - 5));
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 5);
    assert_eq!(server.database.count("auth_event WHERE type = 'rate_limited'").await, 1);
}

/// AT-06: two instances on one database.
#[tokio::test]
async fn concurrent_wrong_logins_at_two_instances_are_limited_to_five() {
    let server = server().await;
    let other = server.another_instance().await;

    let outcome = send_all(&[&server, &other]).await;

    assert_eq!(outcome, (5, CONCURRENT_LOGINS - 5));
    assert_eq!(server.database.count("auth_event WHERE type = 'login_failed'").await, 5);
    assert_eq!(server.database.count("auth_event WHERE type = 'rate_limited'").await, 1);
}

/// AT-06, RL-01: four instances on one database, one of which restarts within the minute.
#[tokio::test]
async fn concurrent_wrong_logins_at_four_instances_are_limited_to_five() {
    let one = server().await;
    let (two, three, four) =
        (one.another_instance().await, one.another_instance().await, one.another_instance().await);

    let outcome = send_all(&[&one, &two, &three, &four]).await;
    one.advance_seconds(30);
    let restarted = two.restart().await;
    let later = send_all(&[&one, &restarted, &three, &four]).await;

    assert_eq!(outcome, (5, CONCURRENT_LOGINS - 5));
    assert_eq!(later, (0, CONCURRENT_LOGINS));
    assert_eq!(one.database.count("auth_event WHERE type = 'login_failed'").await, 5);
}
