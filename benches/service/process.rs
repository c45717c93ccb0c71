//! A child process: starting it, measuring its resources, and stopping it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cpu::cpu_time;
use crate::postgres::PostgresCpu;

/// A process that ends when its handle is dropped, or when this program is killed.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The time from the start of the process to its first response.
    pub(crate) start: Duration,
    /// The PostgreSQL server that the process uses, whose CPU time is measured, too.
    pub(crate) postgres: Option<PostgresCpu>,
}

/// A free port of 127.0.0.1.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Process {
    /// Starts `program` with its output in `log`, and waits until it answers `path` on `port`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        port: u16,
        path: &str,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log_file = File::options().create(true).append(true).open(log)?;
        let started = Instant::now();
        // `setpriv` makes the kernel end the process if this program is killed. The measured start
        // time includes that of `setpriv`.
        let child = Command::new("setpriv")
            .args(["--pdeathsig=TERM", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(log_file.try_clone()?)
            .stdout(log_file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut process = Self { child, address, start: Duration::ZERO, postgres: None };
        while !is_ready(address, path) {
            if let Some(status) = process.child.try_wait()? {
                bail!("{} ended with {status}; see {}", program.display(), log.display());
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("{} does not answer", program.display());
            }
            sleep(Duration::from_micros(500));
        }
        process.start = started.elapsed();
        Ok(process)
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time that all threads of the process have used so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(&self.child.id().to_string())
    }

    /// Current resident memory, in MiB.
    pub(crate) fn resident(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// Peak resident memory since [`reset_peak`](Self::reset_peak), in MiB.
    pub(crate) fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    /// Resets the peak (proc(5), `clear_refs`). This fails only if the process has ended; then all
    /// requests fail, and are counted.
    pub(crate) fn reset_peak(&self) {
        drop(fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5"));
    }

    fn status(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|it| it.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1_024.0
    }
}

impl Process {
    /// Stops the process with SIGTERM, or with SIGKILL if it has not ended after 12 seconds.
    pub(crate) fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let is_signalled = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let deadline = Instant::now() + Duration::from_secs(12);
        while is_signalled && Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_ready(address: SocketAddr, path: &str) -> bool {
    let request = || {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        std::io::Result::Ok(status)
    };
    request().is_ok_and(|status| status.ends_with(b"200"))
}
