//! Runs the `signet` program as a process with its own environment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::harness::{TestDatabase, eventually};

/// Timeout for each step of a process, long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_mins(1);

const PROGRAM: &str = env!("CARGO_BIN_EXE_signet");

/// The program with an environment that contains only the variables set here.
#[derive(Clone)]
pub struct Program {
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// A running `signet serve`.
pub struct ServerProcess {
    child: Child,
    pub address: SocketAddr,
    output: Option<oneshot::Receiver<String>>,
}

impl Program {
    /// Settings for `database`, on a free port, with the database's directory as working directory.
    pub fn new(database: &TestDatabase) -> Self {
        let program =
            Self { directory: database.directory().to_owned(), environment: BTreeMap::new() };
        program
            .with("SIGNET_DATABASE_URL", &database.url())
            .with("SIGNET_MASTER_KEY_FILE", &database.master_key_file().display().to_string())
            .with("SIGNET_LISTEN", "127.0.0.1:0")
            .with("SIGNET_DANGEROUSLY_SHORT_KEY_PUBLICATION", "true")
    }

    /// No settings, and `directory` as working directory.
    pub fn without_settings(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), environment: BTreeMap::new() }
    }

    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// Runs a command until it exits.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        wait_for_output(self.command(arguments)).await
    }

    /// Runs a command until it exits, with its standard output redirected to `stdout`.
    pub async fn run_with_stdout(&self, stdout: impl Into<Stdio>, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdout(stdout);
        wait_for_output(command).await
    }

    /// Runs a shell script until it exits; `"$0"` is the program.
    pub async fn run_script(&self, script: &str) -> Output {
        wait_for_output(self.script(script)).await
    }

    /// Runs `signet serve`, which must fail to start; returns its error message.
    pub async fn startup_error(&self) -> String {
        let output = self.run(&["serve"]).await;
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "the server started and exited successfully");
        assert_ne!(output.status.code(), None, "it was killed: {message}");
        assert!(!message.contains("panicked"), "{message}");
        message
    }

    /// Starts `signet serve` and waits until it listens.
    pub async fn serve(&self) -> ServerProcess {
        start_and_wait_for_address(self.command(&["serve"])).await
    }

    /// Starts `signet serve` with a shell script that ends with `exec "$0" serve`.
    pub async fn serve_by_script(&self, script: &str) -> ServerProcess {
        start_and_wait_for_address(self.script(script)).await
    }

    /// Starts `signet serve` with redirected output, and waits until it is ready.
    pub async fn serve_with_output(
        &self,
        stdout: impl Into<Stdio>,
        stderr: impl Into<Stdio>,
    ) -> ServerProcess {
        let address = free_address();
        let program = self.clone().with("SIGNET_LISTEN", &address.to_string());
        let mut command = program.command(&["serve"]);
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let serving = ServerProcess { child, address, output: None };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        eventually("it is ready", async || {
            let answer = http.get(serving.url("/readyz")).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        serving
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        self.with_environment(command)
    }

    fn script(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, PROGRAM]);
        self.with_environment(command)
    }

    fn with_environment(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

async fn wait_for_output(mut command: Command) -> Output {
    let child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (send, receive) = oneshot::channel();
    std::thread::spawn(move || send.send(child.wait_with_output().unwrap()));
    let Ok(output) = timeout(TIMEOUT, receive).await else {
        kill_process(pid, Signal::KILL).unwrap();
        panic!("{command:?} did not end");
    };
    output.unwrap()
}

/// Starts a server, and waits until it prints its address.
async fn start_and_wait_for_address(mut command: Command) -> ServerProcess {
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (send_address, address) = oneshot::channel();
    let (send_output, all_output) = oneshot::channel();
    std::thread::spawn(move || send_output.send(read_output(output, errors, send_address)));
    if let Ok(Ok(address)) = timeout(TIMEOUT, address).await {
        return ServerProcess { child, address, output: Some(all_output) };
    }
    let _ = kill_process(pid, Signal::KILL);
    child.wait().unwrap();
    panic!("signet did not listen: {}", all_output.await.unwrap());
}

/// A free address, for a server whose output is redirected: the test cannot read the port from it.
/// The port is below the ephemeral ports (32768 and up on Linux), so no outgoing connection uses
/// it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(37) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 15_000 + u16::try_from(number % 17_000).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl ServerProcess {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal and waits for the exit; returns the status and all output, unless the output
    /// is redirected.
    pub async fn stop_with(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let printed = match self.output.take() {
            Some(output) => timeout(TIMEOUT, output).await.unwrap().unwrap(),
            None => String::new(),
        };
        (self.wait().await, printed)
    }

    async fn wait(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                match self.child.try_wait().unwrap() {
                    Some(status) => return status,
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(TIMEOUT, ended).await.expect("the process did not exit")
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads all output, and sends the address as soon as it is printed.
fn read_output(
    output: ChildStdout,
    mut errors: ChildStderr,
    send: oneshot::Sender<SocketAddr>,
) -> String {
    let (mut all, mut line, mut send) = (String::new(), String::new(), Some(send));
    let mut lines = BufReader::new(output);
    while lines.read_line(&mut line).unwrap() > 0 {
        let address = line.trim().strip_prefix("listening on");
        if let Some(address) = address.map(|address| address.trim().parse().unwrap()) {
            let _ = send.take().unwrap().send(address);
        }
        all.push_str(&std::mem::take(&mut line));
    }
    errors.read_to_string(&mut all).unwrap();
    all
}
