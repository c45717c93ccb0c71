//! Accepts connections. Provides what poem's listener lacks: `TCP_NODELAY`, handling of exhausted
//! file descriptors, connection limits in total and per client, refusal of HTTP/2, and timeouts for
//! clients that send or read a byte now and then (slowloris).

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use poem::Addr;
use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::server::connection_limit::{ConnectionLimit, ConnectionSlot};
use crate::server::shortage::Shortage;

/// Start of an interim response (100 Continue, RFC 9110 §15.2.1). It does not change the deadline,
/// because the request is still being received.
const INTERIM: &[u8] = b"HTTP/1.1 100 ";

/// Idle timeout between requests, as a multiple of the client's timeout.
const IDLE_FACTOR: u32 = 4;

/// Start of the HTTP/2 preface without TLS (RFC 9113 §3.4). No HTTP/1.1 method has this name.
const HTTP_2: &[u8] = b"PRI ";

/// Response to an HTTP/2 client. HTTP/2 is refused because its requests share one connection, and
/// the timeouts here are for each connection.
const HTTP_1_ONLY: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

pub(super) struct LimitedAcceptor {
    /// `None` after it was closed.
    listener: Option<TcpListener>,
    closing: watch::Receiver<bool>,
    address: LocalAddr,
    connections: Connections,
    limit: ConnectionLimit,
    shortage: Shortage,
    client_timeout: Duration,
}

/// The open connections, and whether the listener is being closed.
#[derive(Clone)]
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    max: usize,
    closing: watch::Sender<bool>,
}

impl Connections {
    fn at_most(connections: u32) -> Self {
        let max = usize::try_from(connections).unwrap_or(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(max)), max, closing: watch::Sender::new(false) }
    }

    /// Accepts the connections in the backlog, then closes the listener.
    pub(super) fn close_listener(&self) {
        self.closing.send_replace(true);
    }

    /// The number of open connections. It is one less than the number of permits in use, because
    /// the permit for the next connection is acquired before that connection is accepted.
    pub(super) fn count(&self) -> usize {
        self.max.saturating_sub(self.permits.available_permits()).saturating_sub(1)
    }
}

impl LimitedAcceptor {
    pub(super) fn new(
        listener: TcpListener,
        connections: u32,
        limit: ConnectionLimit,
        client_timeout: Duration,
    ) -> io::Result<Self> {
        let address = LocalAddr(Addr::SocketAddr(listener.local_addr()?));
        let connections = Connections::at_most(connections);
        let closing = connections.closing.subscribe();
        let listener = Some(listener);
        let shortage = Shortage::new();
        Ok(Self { listener, closing, address, connections, limit, shortage, client_timeout })
    }

    /// A handle that counts the connections and closes the listener.
    pub(super) fn connections(&self) -> Connections {
        self.connections.clone()
    }
}

impl Acceptor for LimitedAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![self.address.clone()]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        let permit = Arc::clone(&self.connections.permits).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let Some(listener) = &self.listener else { return pending().await };
        let accepted = tokio::select! {
            // The backlog is accepted first, because closing the listener resets its connections.
            biased;
            accepted = accept_admitted(listener, &self.limit, &mut self.shortage) => Some(accepted),
            _ = self.closing.wait_for(|is_closing| *is_closing) => None,
        };
        let Some((stream, peer, slot)) = accepted else {
            self.listener = None;
            return pending().await;
        };
        stream.set_nodelay(true)?;
        let connection = Connection::new(stream, (permit, slot), self.client_timeout);
        let peer = RemoteAddr(Addr::SocketAddr(peer));
        Ok((connection, self.address.clone(), peer, Scheme::HTTP))
    }
}

/// Accepts the next connection whose client is below its connection limit. Connections of clients
/// at their limit are closed at once and use no resources.
async fn accept_admitted(
    listener: &TcpListener,
    limit: &ConnectionLimit,
    shortage: &mut Shortage,
) -> (TcpStream, SocketAddr, Option<ConnectionSlot>) {
    loop {
        let accepted = listener.accept().await;
        shortage.report(None);
        match accepted {
            Ok((stream, peer)) => {
                if let Ok(slot) = limit.acquire(peer.ip()) {
                    return (stream, peer, slot);
                }
            }
            Err(error) => shortage.handle(&error, listener).await,
        }
    }
}

/// A connection with a timeout for each phase. The client's timeout applies to receiving and
/// processing a request together, and separately to the time in which the client reads the
/// response.
pub(super) struct Connection {
    stream: TcpStream,
    /// The time at which the current phase must have ended.
    deadline: Instant,
    /// A timer that fires at the deadline or earlier. It is reset only when it fires, because a
    /// reset takes a lock, and the phase changes several times per request.
    timer: Pin<Box<Sleep>>,
    phase: Phase,
    client_timeout: Duration,
    /// The number of received bytes that match the HTTP/2 preface. `None` after a byte did not
    /// match.
    preface: Option<usize>,
    _permits: Permits,
}

/// The permits of a connection: one of the total limit, and one of its client's limit, unless the
/// client is a trusted proxy.
type Permits = (OwnedSemaphorePermit, Option<ConnectionSlot>);

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Between requests: nothing was received after the last byte of a response.
    Idle,
    /// A request is being received or processed.
    Receiving,
    /// The client is reading a response.
    Sending,
}

impl Connection {
    fn new(stream: TcpStream, permits: Permits, client_timeout: Duration) -> Self {
        // The timeout of the first request starts with the connection.
        let deadline = Instant::now() + client_timeout;
        let timer = Box::pin(sleep_until(deadline));
        let phase = Phase::Receiving;
        Self { stream, deadline, timer, phase, client_timeout, preface: Some(0), _permits: permits }
    }

    /// If the client speaks HTTP/2, tries to send [`HTTP_1_ONLY`], and fails.
    fn refuse_http_2(&mut self, received: &[u8]) -> io::Result<()> {
        let Some(matched) = self.preface else { return Ok(()) };
        let expected = HTTP_2.get(matched..).unwrap_or_default();
        let length = expected.len().min(received.len());
        let is_preface = expected.get(..length) == received.get(..length);
        self.preface = is_preface.then_some(matched + length);
        if self.preface == Some(HTTP_2.len()) {
            // Best effort: the connection is closed in any case.
            let _ = self.stream.try_write(HTTP_1_ONLY);
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(())
    }

    /// Enters a phase and sets its deadline. Each complete write sets the deadline of `Idle` again:
    /// a response may be a stream that takes longer than the timeout, although its client reads
    /// fast enough.
    fn enter_phase(&mut self, phase: Phase) {
        if self.phase == phase && phase != Phase::Idle {
            return;
        }
        self.phase = phase;
        let timeout = match phase {
            Phase::Idle => self.client_timeout * IDLE_FACTOR,
            Phase::Receiving | Phase::Sending => self.client_timeout,
        };
        self.deadline = Instant::now() + timeout;
    }

    /// Fails if the deadline has passed; otherwise registers the task to be woken when it passes.
    fn check_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if self.deadline <= now {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // Every deadline set from now on is at least the client's timeout away.
            self.timer.as_mut().reset(self.deadline.min(now + self.client_timeout));
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let has_room = buffer.remaining() > 0;
        let received = buffer.filled().get(before..).unwrap_or_default();
        if polled.is_ready() && received.is_empty() && has_room && self.phase == Phase::Receiving {
            // The client disconnected during its request, or while it was waiting for the response.
            // If this were reported as an end of stream, hyper and poem would continue to process
            // the request.
            ready!(polled)?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if !received.is_empty() {
            self.enter_phase(Phase::Receiving);
            self.refuse_http_2(received)?;
        }
        if polled.is_pending() {
            self.check_deadline(context)?;
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if polled.is_pending() {
            self.enter_phase(Phase::Sending);
            self.check_deadline(context)?;
        }
        let written = ready!(polled)?;
        if !slices.first().is_some_and(|slice| slice.starts_with(INTERIM)) {
            let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
            // A partial write does not restart the deadline of a client that reads slowly.
            self.enter_phase(if written < wanted { Phase::Sending } else { Phase::Idle });
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
