//! Signet as operators run it: a process with an environment of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::harness::TestDatabase;

/// How long any process may take to do what is asked of it, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command line and an environment that holds nothing but what is set here.
#[derive(Clone)]
pub struct Program {
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

/// A `signet serve` that listens.
pub struct Serving {
    child: Child,
    pub address: SocketAddr,
    output: Option<oneshot::Receiver<String>>,
}

impl Program {
    /// Settings for `database`, on a free port; the working directory is the database's own.
    pub fn new(database: &TestDatabase) -> Self {
        let program =
            Self { directory: database.directory().to_owned(), environment: BTreeMap::new() };
        program
            .with("SIGNET_DATABASE_URL", &database.url())
            .with("SIGNET_MASTER_KEY_FILE", &database.master_key_file().display().to_string())
            .with("SIGNET_LISTEN", "127.0.0.1:0")
    }

    /// A fresh directory and no setting at all.
    pub fn bare(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), environment: BTreeMap::new() }
    }

    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let child = self.command(arguments).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (send, receive) = oneshot::channel();
        std::thread::spawn(move || send.send(child.wait_with_output().unwrap()));
        let Ok(output) = timeout(PATIENCE, receive).await else {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("signet {arguments:?} did not end");
        };
        output.unwrap()
    }

    /// Runs `signet serve`, which must refuse to start; returns what it says.
    pub async fn refusal(&self) -> String {
        let output = self.run(&["serve"]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "it started and ended well");
        assert_ne!(output.status.code(), None, "it was killed: {said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// Starts `signet serve` and waits until it listens.
    pub async fn serve(&self) -> Serving {
        let mut child = self.command(&["serve"]).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (send_address, address) = oneshot::channel();
        let (send_output, output_of_all) = oneshot::channel();
        std::thread::spawn(move || send_output.send(read(output, errors, send_address)));
        if let Ok(Ok(address)) = timeout(PATIENCE, address).await {
            return Serving { child, address, output: Some(output_of_all) };
        }
        let _ = kill_process(pid, Signal::KILL);
        child.wait().unwrap();
        panic!("signet did not listen: {}", output_of_all.await.unwrap());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl Serving {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal and waits for the end; returns all that was printed, too.
    pub async fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let output = self.output.take().unwrap();
        let printed = timeout(PATIENCE, output).await.unwrap().unwrap();
        (self.child.wait().unwrap(), printed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads all that is printed, and sends the address on as soon as it is known.
fn read(output: ChildStdout, mut errors: ChildStderr, send: oneshot::Sender<SocketAddr>) -> String {
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
