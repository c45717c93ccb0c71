//! A network link to PostgreSQL that drops packets, like a firewall that has lost its state.
//! Connections stay open but deliver nothing.

use std::time::Duration;

use reqwest::Client;
use rustix::process::Signal;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use crate::harness::{Answer, PASSWORD, Program, TestDatabase, eventually};

/// Forwards a port to the socket of the PostgreSQL server under test.
struct Link {
    port: u16,
    /// Connections of an earlier generation deliver nothing.
    generation: watch::Sender<usize>,
}

impl Link {
    async fn forward_to(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (generation, current) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let server = UnixStream::connect(&socket).await.unwrap();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(forward(from_client, to_server, current.clone()));
                tokio::spawn(forward(from_server, to_client, current.clone()));
            }
        });
        Self { port, generation }
    }

    fn stall_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    generation: watch::Receiver<usize>,
) {
    let own_generation = *generation.borrow();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *generation.borrow() != own_generation {
            std::future::pending::<()>().await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// W2: reads and writes recover permanently, and the server can be stopped.
#[tokio::test]
async fn server_recovers_from_dead_database_connections() {
    let database = TestDatabase::create().await;
    if !database.is_postgres() {
        return;
    }
    let url = url::Url::parse(&database.url()).unwrap();
    let directory = url.query_pairs().find(|(name, _)| name == "host").unwrap().1.into_owned();
    let link =
        Link::forward_to(format!("{directory}/.s.PGSQL.{}", url.port().unwrap_or(5432))).await;
    let link_url = format!("postgres://postgres@127.0.0.1:{}{}", link.port, url.path());
    let serving = Program::new(&database)
        .with("SIGNET_DATABASE_URL", &link_url)
        .with("SIGNET_REFRESH_RETRY_SECONDS", "60")
        .serve()
        .await;
    let http = Client::builder().no_proxy().build().unwrap();
    let body = json!({ "email": "ada@example.test", "password": PASSWORD });
    let signed_up = Answer::of(http.post(serving.url("/api/auth/signup")).json(&body)).await;
    // Each refresh is a retry, because the retry window is a minute.
    let refresh = async || {
        let body = json!({ "refresh_token": signed_up.tokens().refresh_token });
        Answer::of(http.post(serving.url("/api/auth/refresh")).json(&body)).await.status
    };
    assert_eq!(refresh().await, 200);

    for _ in 0..2 {
        link.stall_connections();
        eventually("writes succeed again", async || refresh().await == 200).await;
        // Wait for longer than the timeout of a commit.
        tokio::time::sleep(Duration::from_secs(7)).await;
        let ready = Answer::of(http.get(serving.url("/readyz"))).await;
        ready.expect_status(200);
    }

    let (status, printed) = serving.stop_with(Signal::TERM).await;
    assert_eq!(status.code(), Some(0), "{printed}");
    assert_eq!(database.count("auth_event WHERE type = 'token_reuse'").await, 0);
}
