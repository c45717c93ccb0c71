//! Raw requests, which well-behaved clients do not send, and responses with their header lines.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Answer, TestServer};

/// Timeout for a response.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A response, with its header lines in the received order.
pub struct RawAnswer {
    pub answer: Answer,
    pub header_lines: Vec<String>,
}

impl TestServer {
    /// Sends `request` on a new connection and reads the response. The request must ask the server
    /// to close the connection.
    pub async fn raw(&self, request: &[u8]) -> RawAnswer {
        let started = Instant::now();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may stop reading and close the connection before the request is complete.
        let _ = stream.write_all(request).await;
        let mut received = Vec::new();
        let reading = stream.read_to_end(&mut received);
        let _ =
            tokio::time::timeout(TIMEOUT, reading).await.expect("a response within the timeout");
        parse(&received, started.elapsed())
    }
}

fn parse(received: &[u8], took: Duration) -> RawAnswer {
    let end = received.windows(4).position(|it| it == b"\r\n\r\n").expect("a complete head");
    let head = std::str::from_utf8(&received[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header_lines: Vec<_> = lines.map(str::to_owned).collect();
    let mut headers = HeaderMap::new();
    for line in &header_lines {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
    }
    let body = received[end + 4..].to_vec();
    RawAnswer { answer: Answer { status, headers, body, took }, header_lines }
}
