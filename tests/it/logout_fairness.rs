//! W12: slow receivers of logout notices do not delay the notices of other clients.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::oauth::{Browser, WEB_CLIENT};
use crate::harness::{TestServer, eventually};

const ADA: &str = "ada@example.test";

/// A receiver that delays each response, handles any number concurrently, and records the times of
/// requests.
async fn receiver(delay: Duration) -> (String, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/backchannel", listener.local_addr().unwrap());
    let request_times = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&request_times);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            recorded.lock().unwrap().push(Instant::now());
            tokio::spawn(async move {
                let mut request = [0; 8192];
                let _ = stream.read(&mut request).await;
                tokio::time::sleep(delay).await;
                let answer = "HTTP/1.1 204 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (uri, request_times)
}

/// W12: sixteen clients whose receivers respond after 4.5 seconds have a hundred pending notices
/// each. Another client is notified about a second after its logout.
#[tokio::test]
async fn slow_receivers_do_not_delay_other_clients() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (slow, _) = receiver(Duration::from_millis(4_500)).await;
    let (fast, request_times) = receiver(Duration::ZERO).await;
    let client = |id: &str, uri: &str| {
        let client = WEB_CLIENT.replace("\"web\"", &format!("\"{id}\""));
        format!("{client}backchannel_logout_uri = \"{uri}\"\n")
    };
    let mut clients = client("web", &fast);
    clients.extend((0..16).map(|n| client(&format!("slow{n}"), &slow)));
    let web = server.register_clients(&clients).await.remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    server.redeem(&web, &code).await.expect_status(200);
    let (id, payload) = if server.database.is_postgres() {
        ("gen_random_uuid()", "jsonb_build_object('sid', gen_random_uuid(), 'sub', account_id)")
    } else {
        let uuid = "'01900000-0000-7000-8000-000000000000'";
        ("randomblob(16)", &*format!("json_object('sid', {uuid}, 'sub', {uuid})").leak())
    };
    let pending = format!(
        "INSERT INTO outbox (id, kind, receiver, payload, attempts, due_at, created_at) \
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1599) \
         SELECT {id}, 'logout_notice', 'slow' || (i % 16), {payload}, 0, auth_time, auth_time \
         FROM (SELECT * FROM session WHERE client_id = 'web' LIMIT 1) one, n"
    );
    server.database.execute(&pending).await;
    // By now, the slow receivers occupy all slots that they can use.
    tokio::time::sleep(Duration::from_millis(1_500)).await;

    let page = browser.get("/logout").await;
    let started = Instant::now();
    browser.submit("/logout", &page, &[]).await.expect_status(303);
    eventually("the other client is notified", async || !request_times.lock().unwrap().is_empty())
        .await;

    let waited = request_times.lock().unwrap()[0].duration_since(started);
    assert!(waited < Duration::from_millis(2_500), "{waited:?}");
}

/// Notices that an instance of the previous version queued in its own table are delivered, too.
#[tokio::test]
async fn notices_of_the_previous_version_are_delivered() {
    let server = TestServer::with(|config| config.service.logout_private_networks = true).await;
    let (uri, request_times) = receiver(Duration::ZERO).await;
    let web = server
        .register_clients(&format!("{WEB_CLIENT}backchannel_logout_uri = \"{uri}\"\n"))
        .await
        .remove(0);
    server.sign_up(ADA).await.expect_status(201);
    let mut browser = Browser::of(&server);
    let code = browser.log_in_for_code(ADA, &[]).await;
    server.redeem(&web, &code).await.expect_status(200);

    let insert = "INSERT INTO logout_notice \
               (session_id, account_id, client_id, attempts, due_at, created_at) \
               SELECT id, account_id, client_id, 0, auth_time, auth_time FROM session \
               WHERE client_id = 'web'";
    server.database.execute(insert).await;

    eventually("the client is notified", async || request_times.lock().unwrap().len() == 1).await;
    eventually("no notice is left", async || server.database.count("outbox").await == 0).await;
    assert_eq!(server.database.count("logout_notice").await, 0);
}
