//! The limit on open files, and its effect on connections.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, prlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Program, ServerProcess, TestDatabase};

const REDUCED_LIMIT: &str = "fewer connections than SIGNET_MAX_CONNECTIONS";

async fn connect_from(client: &str, server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(client.parse().unwrap(), 0)).unwrap();
    socket.connect(server).await.unwrap()
}

/// The first line of a response; empty if the connection was closed instead.
async fn get_status_line(mut connection: TcpStream) -> String {
    let request = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let _ = connection.write_all(request).await;
    let mut answer = String::new();
    let reading = connection.read_to_string(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Idle connections of two clients.
async fn two_idle_clients(each: usize, server: SocketAddr) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for client in ["127.0.0.2", "127.0.0.3"] {
        idle.extend(join_all((0..each).map(|_| connect_from(client, server))).await);
    }
    // Once a later connection gets a response, all earlier ones have been accepted.
    assert_eq!(get_status_line(connect_from("127.0.0.4", server).await).await, "HTTP/1.1 200 OK");
    idle
}

/// W7: the soft limit is raised to the hard limit. Idle connections of two clients leave enough
/// connections for a third.
#[tokio::test]
async fn idle_clients_cannot_exhaust_the_connections() {
    let database = TestDatabase::create().await;
    for script in ["ulimit -Sn 200; exec \"$0\" serve", "ulimit -n 200; exec \"$0\" serve"] {
        let serving = Program::new(&database).serve_by_script(script).await;

        let idle = two_idle_clients(150, serving.address).await;

        drop(idle);
        let is_reduced = script.contains("-n");
        let (status, printed) = serving.stop_with(Signal::TERM).await;
        assert_eq!(status.code(), Some(0));
        assert_eq!(printed.matches(REDUCED_LIMIT).count(), usize::from(is_reduced), "{printed}");
        assert!(!printed.contains("could not be accepted"), "{printed}");
    }
}

/// W7: an explicit limit per client applies, within the total that the descriptors permit.
#[tokio::test]
async fn excess_connections_wait_for_descriptors() {
    let database = TestDatabase::create().await;
    let program = Program::new(&database).with("SIGNET_MAX_CONNECTIONS_PER_CLIENT", "1000");
    let serving = program.serve_by_script("ulimit -n 200; exec \"$0\" serve").await;

    let idle = join_all((0..190).map(|_| connect_from("127.0.0.2", serving.address))).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(idle);

    let answer = get_status_line(connect_from("127.0.0.3", serving.address).await).await;
    assert_eq!(answer, "HTTP/1.1 200 OK");
    let (status, printed) = serving.stop_with(Signal::TERM).await;
    assert_eq!(status.code(), Some(0));
    assert!(!printed.contains("could not be accepted"), "{printed}");
}

/// W7: with too few descriptors the start fails, and the error states the required number.
#[tokio::test]
async fn start_fails_with_too_few_descriptors() {
    let database = TestDatabase::create().await;

    let output = Program::new(&database).run_script("ulimit -n 100; exec \"$0\" serve").await;

    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("error: the process may open 100 files (ulimit -n"), "{message}");
    assert!(message.contains("allow at least 120"), "{message}");
    let enough = Program::new(&database).serve_by_script("ulimit -n 120; exec \"$0\" serve").await;
    assert_eq!(
        get_status_line(connect_from("127.0.0.2", enough.address).await).await,
        "HTTP/1.1 200 OK"
    );
}

/// W7: if descriptors still run out, connections are closed at once, and the log is rate-limited.
#[tokio::test]
async fn descriptor_exhaustion_closes_connections_and_log_is_rate_limited() {
    let database = TestDatabase::create().await;
    let serving = Program::new(&database).serve().await;
    assert_eq!(
        get_status_line(connect_from("127.0.0.2", serving.address).await).await,
        "HTTP/1.1 200 OK"
    );
    let used_before = cpu_ticks(&serving);

    let before = forbid_further_descriptors(&serving);
    let mut answers = Vec::new();
    for _ in 0..40 {
        // Descriptors of database connections that were closed meanwhile must stay unavailable.
        forbid_further_descriptors(&serving);
        answers.push(get_status_line(connect_from("127.0.0.2", serving.address).await).await);
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let used = cpu_ticks(&serving) - used_before;
    prlimit(Some(serving.pid()), Resource::Nofile, before).unwrap();

    let is_rejected = |answer: &&String| answer.is_empty() || answer.starts_with("HTTP/1.1 503 ");
    assert!(answers.iter().filter(is_rejected).count() > 30, "{answers:?}");
    assert!(answers.iter().filter(|answer| answer.contains("503")).count() > 20, "{answers:?}");
    assert_eq!(
        get_status_line(connect_from("127.0.0.2", serving.address).await).await,
        "HTTP/1.1 200 OK"
    );
    // CPU time within one second, at 100 ticks per second.
    assert!(used < 50, "the acceptor spins: {used} ticks");
    let (status, printed) = serving.stop_with(Signal::TERM).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(printed.matches("could not be accepted").count(), 1, "{printed}");
}

/// Sets a limit so that no more files can be opened; returns the previous limit.
fn forbid_further_descriptors(serving: &ServerProcess) -> Rlimit {
    let pid = serving.pid().as_raw_nonzero();
    let is_open = |number: &u64| Path::new(&format!("/proc/{pid}/fd/{number}")).exists();
    let lowest_free = (0..1_000_000).find(|number| !is_open(number));
    let limit = Rlimit { current: lowest_free, maximum: getrlimit(Resource::Nofile).maximum };
    prlimit(Some(serving.pid()), Resource::Nofile, limit).unwrap()
}

/// The CPU time used by the process.
fn cpu_ticks(serving: &ServerProcess) -> u64 {
    let pid = serving.pid().as_raw_nonzero();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
