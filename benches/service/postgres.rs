//! The CPU time of the PostgreSQL server that scripts/with-postgres starts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cpu::{cpu_time, ended_children_cpu_time, parent};

/// Measures the CPU time of all processes of a PostgreSQL server on this machine.
#[derive(Clone)]
pub(crate) struct PostgresCpu {
    /// The process id of the server's first process, the parent of all others.
    postmaster: String,
}

impl PostgresCpu {
    /// The server of a URL with the folder of its socket, such as
    /// `postgres://postgres@localhost/postgres?host=/run/postgresql`. `None` for servers that
    /// scripts/with-postgres has not started.
    pub(crate) fn of(database_url: &str) -> Option<Self> {
        let (_, folder) = database_url.split_once("host=")?;
        let folder = folder.split_once('&').map_or(folder, |(folder, _)| folder);
        let file = fs::read_to_string(Path::new(folder).join("data/postmaster.pid")).ok()?;
        Some(Self { postmaster: file.lines().next()?.trim().to_owned() })
    }

    /// CPU time that all processes have used so far, including those that have ended.
    pub(crate) fn time(&self) -> Duration {
        let mut total = cpu_time(&self.postmaster) + ended_children_cpu_time(&self.postmaster);
        let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        for process in processes {
            let id = process.file_name().to_string_lossy().into_owned();
            if parent(&id).as_deref() == Some(&self.postmaster) {
                total += cpu_time(&id);
            }
        }
        total
    }
}
