//! The reference for refreshes on PostgreSQL: pgbench makes the same changes to copies of the
//! tables, 32 refreshes in a statement and a transaction, without Signet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cpu::ended_children_cpu_time;
use crate::load::{as_float, cores};
use crate::postgres::PostgresCpu;
use crate::reference::Speed;

/// Refreshes in a statement.
const BATCH: usize = 32;

/// Batches of sessions for each client of pgbench. A client uses its own sessions, so that it never
/// waits for the lock of another client.
const BATCHES: usize = 5;

/// Copies of the tables with their indexes, and sessions with the ids 0, 1, 2 … Any session of the
/// server is the model for their other columns.
const PREPARE: &str = "\
    CREATE SCHEMA pgbench;
    CREATE TABLE pgbench.session (LIKE public.session INCLUDING ALL);
    CREATE TABLE pgbench.auth_event (LIKE public.auth_event INCLUDING ALL);
    CREATE TEMPORARY TABLE model AS SELECT * FROM public.session WHERE ended_at IS NULL LIMIT 1;
    DO $$ BEGIN
      FOR i IN 0 .. {sessions} - 1 LOOP
        UPDATE model SET id = lpad(to_hex(i), 32, '0')::uuid, status_index = i;
        INSERT INTO pgbench.session SELECT * FROM model;
      END LOOP;
    END $$;
    ANALYZE pgbench.session;";

/// The update and the insert of a refresh, for one batch. Within one pgbench client, event ids
/// increase, as those of Signet do. `run`, `batches` and `clients` are set on the command line.
const SCRIPT: &str = r"
\set batch random(0, :batches - 1) * :clients + :client_id
\set event :event + {batch}
WITH presented AS (
  SELECT CAST(lpad(to_hex(CAST(:batch AS bigint) * {batch} + i), 32, '0') AS uuid) AS session_id,
         CAST(lpad(to_hex((CAST(:run AS bigint) << 48) + (CAST(:client_id AS bigint) << 40)
                          + CAST(:event AS bigint) + i), 32, '0') AS uuid) AS event_id
  FROM generate_series(0, {batch} - 1) i
), rotated AS (
  UPDATE pgbench.session SET
    generation = session.generation + 1, rotated_at = session.auth_time,
    idle_expires_at = session.idle_expires_at + 1, address = '10.0.0.1', user_agent = 'signet-bench'
  FROM presented WHERE session.id = presented.session_id AND session.ended_at IS NULL
  RETURNING session.id, session.account_id, session.client_id, presented.event_id
), recorded AS (
  INSERT INTO pgbench.auth_event
    (id, at, type, outcome, account_id, session_id, client_id, address, user_agent, request_id)
  SELECT event_id, 1, 'token_refreshed', 'success', account_id, id, client_id, '10.0.0.1',
         'signet-bench', event_id
  FROM rotated
) SELECT count(*) FROM rotated;
";

/// pgbench, with its tables in the database of the server under test.
pub(crate) struct Pgbench {
    programs: PathBuf,
    database_url: String,
    script: PathBuf,
    cpu: PostgresCpu,
    runs: usize,
}

impl Pgbench {
    /// Creates the tables. The server must have a session, which is the model for the rows.
    /// `programs` is the folder of psql and pgbench.
    pub(crate) fn prepare(
        programs: &Path,
        database_url: &str,
        directory: &Path,
        cpu: PostgresCpu,
    ) -> anyhow::Result<Self> {
        let sessions = (BATCH * BATCHES * cores()).to_string();
        let mut psql = Command::new(programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", database_url]);
        run(psql.arg("--command").arg(PREPARE.replace("{sessions}", &sessions)))?;
        let script = directory.join("refresh.pgbench");
        fs::write(&script, SCRIPT.replace("{batch}", &BATCH.to_string()))?;
        let (programs, database_url) = (programs.to_owned(), database_url.to_owned());
        Ok(Self { programs, database_url, script, cpu, runs: 0 })
    }

    /// Refreshes per second by as many clients as there are cores, and the CPU time of a refresh in
    /// PostgreSQL and pgbench together.
    pub(crate) fn refreshes(&mut self, time: Duration) -> anyhow::Result<Speed> {
        self.runs += 1;
        let before = self.cpu.time() + ended_children_cpu_time("self");
        let output = run(Command::new(self.programs.join("pgbench"))
            // Without these options PostgreSQL would not use the indexes, because the tables are
            // small. Signet's statements in a large installation use them.
            .env(
                "PGOPTIONS",
                "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off",
            )
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--client={}", cores()))
            .arg(format!("--time={}", time.as_secs().max(1)))
            .arg(format!("--define=run={}", self.runs))
            .arg(format!("--define=clients={}", cores()))
            .arg(format!("--define=batches={BATCHES}"))
            .arg("--define=event=0")
            .arg("--file")
            .arg(&self.script)
            .arg(&self.database_url))?;
        let used = (self.cpu.time() + ended_children_cpu_time("self")).saturating_sub(before);
        let after = |label| output.split_once(label)?.1.split_whitespace().next();
        let rate = after("tps = ").and_then(|it| it.parse::<f64>().ok());
        let number = after("transactions actually processed: ").and_then(|it| it.parse().ok());
        let (Some(rate), Some(transactions)) = (rate, number) else {
            bail!("cannot read the output of pgbench: {output}");
        };
        let refreshes = as_float(BATCH) * as_float(transactions);
        Ok(Speed { rate: rate * as_float(BATCH), cpu: used.as_secs_f64() * 1e6 / refreshes })
    }
}

/// Runs a program. Returns its standard output.
fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().context("psql or pgbench cannot be started")?;
    if !output.status.success() {
        bail!("psql or pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
