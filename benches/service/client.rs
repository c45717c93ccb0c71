//! A minimal HTTP/1.1 client. It must use little CPU time, because it shares the cores with the
//! server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::ready;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// A persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The receive buffer. It grows if a response is larger.
    received: Vec<u8>,
    /// Number of received bytes in the buffer.
    filled: usize,
}

/// The relevant parts of a response.
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a str,
}

/// Positions of a response's parts in the received bytes.
struct Frame {
    status: u16,
    body: usize,
    end: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: vec![0; 16 * 1024], filled: 0 })
    }

    /// Sends a request and waits for the complete response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.send(request).await?;
        self.filled = 0;
        let frame = loop {
            self.receive().await?;
            let received = self.received.get(..self.filled).unwrap_or_default();
            match parse_head(received)? {
                Some(frame) if frame.end <= self.filled => break frame,
                _ => {}
            }
        };
        let body = self.received.get(frame.body..frame.end).unwrap_or_default();
        let body = std::str::from_utf8(body).map_err(io::Error::other)?;
        Ok(Response { status: frame.status, body })
    }

    async fn send(&self, mut request: &[u8]) -> io::Result<()> {
        while !request.is_empty() {
            match self.stream.try_write(request) {
                Ok(sent) => request = request.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> io::Result<()> {
        if self.filled == self.received.len() {
            self.received.resize(2 * self.filled, 0);
        }
        let unfilled = self.received.get_mut(self.filled..).unwrap_or_default();
        let mut unfilled = ReadBuf::new(unfilled);
        let stream = &mut self.stream;
        let count = std::future::poll_fn(|context| {
            ready!(Pin::new(&mut *stream).poll_read(context, &mut unfilled))?;
            std::task::Poll::Ready(io::Result::Ok(unfilled.filled().len()))
        })
        .await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.filled += count;
        Ok(())
    }
}

/// Parses the head of a response. Returns `None` until the head is complete.
fn parse_head(received: &[u8]) -> io::Result<Option<Frame>> {
    let Some(head) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let malformed = || io::Error::other("this client cannot parse the response");
    let text = received.get(..head).and_then(|head| std::str::from_utf8(head).ok());
    let text = text.ok_or_else(malformed)?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    let lengths = text.split("\r\n").filter_map(|line| line.strip_prefix("content-length: "));
    let length: usize = lengths.last().and_then(|it| it.parse().ok()).ok_or_else(malformed)?;
    Ok(Some(Frame { status, body: head + 4, end: head + 4 + length }))
}
