//! Connections: the limit per client, and the permitted protocols.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{TestServer, eventually};

const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

/// The HTTP/2 preface without TLS (RFC 9113 §3.4), with an empty SETTINGS frame.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A connection from a loopback address.
async fn connect_from(address: &str, server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// The response to a request; empty if the connection was closed instead.
async fn send_request(connection: &mut TcpStream) -> String {
    let _ = connection.write_all(REQUEST).await;
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(20), connection.read(&mut answer)).await;
    let length = read.expect("a response or a closed connection").unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// A server without trusted proxies, with few connections per client.
async fn server_with_few_connections() -> TestServer {
    TestServer::with(|config| {
        config.service.trusted_proxies.clear();
        config.service.max_connections_per_client = Some(3);
    })
    .await
}

/// DS-04: a client at its connection limit gets no further connection, but other clients do.
#[tokio::test]
async fn connections_are_limited_per_client() {
    let server = server_with_few_connections().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = connect_from("127.0.0.2", &server).await;
        assert!(send_request(&mut connection).await.starts_with("HTTP/1.1 200"));
        open.push(connection);
    }

    for _ in 0..5 {
        assert_eq!(send_request(&mut connect_from("127.0.0.2", &server).await).await, "");
    }

    let other = send_request(&mut connect_from("127.0.0.3", &server).await).await;
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    for connection in &mut open {
        assert!(
            send_request(connection).await.starts_with("HTTP/1.1 200"),
            "open connections are kept"
        );
    }
    drop(open.pop());
    eventually("a connection is accepted again", async || {
        send_request(&mut connect_from("127.0.0.2", &server).await)
            .await
            .starts_with("HTTP/1.1 200")
    })
    .await;
}

/// A trusted proxy carries the connections of many clients.
#[tokio::test]
async fn trusted_proxy_is_exempt_from_the_connection_limit() {
    let server =
        TestServer::with(|config| config.service.max_connections_per_client = Some(3)).await;
    let mut connections = join_all((0..20).map(|_| connect_from("127.0.0.1", &server))).await;

    for connection in &mut connections {
        assert!(send_request(connection).await.starts_with("HTTP/1.1 200"));
    }
}

/// DS-05: HTTP/2 is left to the proxy, because many requests on one connection would evade the
/// timeouts.
#[tokio::test]
async fn http_2_preface_is_rejected_whole_and_in_pieces() {
    let server = TestServer::start().await;

    for piece_length in [HTTP_2.len(), 1, 3] {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        let started = Instant::now();
        for piece in HTTP_2.chunks(piece_length).take(8) {
            let _ = connection.write_all(piece).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;

        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "the request is not delayed");
    }
}

/// A method that only resembles the preface is HTTP/1.1, and gets a response.
#[tokio::test]
async fn method_that_resembles_the_http_2_preface_gets_a_response() {
    let server = TestServer::start().await;

    for (method, status) in [("PRINT", 405), ("PR", 405), ("P", 405), ("PATCH", 405)] {
        let request = format!("{method} /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        server.raw(request.as_bytes()).await.answer.expect_status(status);
    }
}

/// DS-04: many concurrent probes use one connection of the pool, even if the database is slow.
#[tokio::test]
async fn concurrent_readiness_probes_use_one_pool_connection() {
    let server = TestServer::start().await;
    if !server.database.is_postgres() {
        return; // Queries on SQLite cannot be blocked.
    }
    let tokens = server.sign_up("ada@example.test").await.tokens();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let blocker = server.database.connect().await.begin().await.unwrap();
    let lock = "LOCK TABLE seaql_migrations IN ACCESS EXCLUSIVE MODE";
    blocker.execute_unprepared(lock).await.unwrap();

    let probing = join_all((0..200).map(|_| server.get("/readyz")));
    let waiting =
        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let inspecting = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let lock_waits = server.database.count(waiting).await;
        (lock_waits, server.refresh(&tokens.refresh_token).await)
    };
    let (probes, (lock_waits, refreshed)) = futures_util::future::join(probing, inspecting).await;
    blocker.rollback().await.unwrap();

    assert_eq!(lock_waits, 1);
    refreshed.expect_status(200);
    assert!(probes.iter().all(|probe| probe.status == 503));
    assert!(probes.iter().all(|probe| probe.took < Duration::from_secs(5)));
}

/// DS-03: `Expect: 100-continue` does not extend the body timeout.
#[tokio::test]
async fn expect_100_continue_does_not_extend_the_body_timeout() {
    let server = TestServer::with(|config| config.service.client_seconds = 2).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 50\r\n\r\n";
    let started = Instant::now();
    connection.write_all(head.as_bytes()).await.unwrap();

    let mut received = Vec::new();
    let _ = connection.read_to_end(&mut received).await;

    let received = String::from_utf8_lossy(&received);
    assert!(received.starts_with("HTTP/1.1 100"), "{received}");
    // Idle connections have four times this timeout.
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}
