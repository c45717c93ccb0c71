//! A fresh database per test: a SQLite file, or a PostgreSQL database dropped at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TryGetable,
};
use tempfile::TempDir;

/// A database and its master key.
pub struct TestDatabase {
    directory: TempDir,
    postgres: Option<Postgres>,
}

struct Postgres {
    server: String,
    name: String,
}

impl TestDatabase {
    pub async fn create() -> Self {
        Self::create_with("").await
    }

    /// A database that has this encoding on PostgreSQL.
    pub async fn create_with_encoding(encoding: &str) -> Self {
        Self::create_with(&format!("TEMPLATE template0 LOCALE 'C' ENCODING '{encoding}'")).await
    }

    /// A database created with these options of PostgreSQL's `CREATE DATABASE`.
    async fn create_with(options: &str) -> Self {
        let directory = TempDir::new().unwrap();
        #[expect(clippy::disallowed_methods, reason = "chooses the database under test")]
        let postgres = match std::env::var("TEST_DATABASE_URL") {
            Ok(server) => {
                let name = format!("it_{}", unique_name());
                let postgres = Postgres { server, name };
                postgres.run(format!("CREATE DATABASE {} {options}", postgres.name)).await;
                Some(postgres)
            }
            Err(_) => None,
        };
        Self { directory, postgres }
    }

    /// The value for `SIGNET_DATABASE_URL`.
    pub fn url(&self) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url(),
            None => format!("sqlite:{}", self.directory.path().join("signet.db").display()),
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// The value for `SIGNET_MASTER_KEY_FILE`.
    pub fn master_key_file(&self) -> PathBuf {
        self.directory.path().join("keys/master.key")
    }

    /// The directory of the SQLite files and of the master key; on PostgreSQL, of the key alone.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Opens a connection that bypasses the server.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(self.url()).await
    }

    /// Runs SQL that both databases understand.
    pub async fn execute(&self, sql: &str) {
        self.connect().await.execute_unprepared(sql).await.unwrap();
    }

    /// The first column of all rows.
    pub async fn column<T: TryGetable>(&self, sql: &str) -> Vec<T> {
        let db = self.connect().await;
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
        rows.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Makes the database unavailable to a running server; on SQLite, by renaming all tables.
    pub async fn make_unavailable(&self) {
        if let Some(postgres) = &self.postgres {
            let name = &postgres.name;
            postgres.run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
            let disconnect =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
            postgres.run(format!("{disconnect} '{name}'")).await;
        } else {
            for table in self.tables().await {
                self.execute(&format!("ALTER TABLE {table} RENAME TO no_{table}")).await;
            }
        }
    }

    /// Waits until `number` connections to this PostgreSQL database match `condition`.
    pub async fn wait_for_connections(&self, number: i64, condition: &str) {
        let matching =
            format!("pg_stat_activity WHERE datname = current_database() AND {condition}");
        let wait = async {
            while self.count(&matching).await < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    }

    /// Copies a PostgreSQL database to another one, which is replaced if it exists. `from` and `to`
    /// are suffixes of this database's name. Closes all connections to both.
    pub(super) async fn copy_postgres(&self, from: &str, to: &str) {
        let Some(postgres) = &self.postgres else { return };
        let (from, to) = (format!("{}{from}", postgres.name), format!("{}{to}", postgres.name));
        let disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        postgres.run(format!("{disconnect} '{from}'")).await;
        postgres.run(format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)")).await;
        postgres.run(format!("CREATE DATABASE {to} TEMPLATE {from}")).await;
    }

    /// The number of rows in `from`: a table, or a table with a condition.
    pub async fn count(&self, from: &str) -> i64 {
        self.column(&format!("SELECT count(*) FROM {from}")).await[0]
    }

    /// On PostgreSQL, delays each transaction after an insert into `table`. SQLite runs one
    /// transaction at a time, so a delay would reveal no race there.
    pub async fn delay_after_inserts_into(&self, table: &str) {
        if self.is_postgres() {
            self.execute(&format!(
                "CREATE OR REPLACE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END'; \
                 CREATE TRIGGER delay AFTER INSERT ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION delay()"
            ))
            .await;
        }
    }

    /// On PostgreSQL, delays each insert into `table`, after the reads of its transaction.
    pub async fn delay_before_inserts_into(&self, table: &str) {
        if self.is_postgres() {
            self.execute(&format!(
                "CREATE FUNCTION delay_before() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END'; \
                 CREATE TRIGGER delay_before BEFORE INSERT ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION delay_before()"
            ))
            .await;
        }
    }

    /// The types of all audit events except those about keys, oldest first.
    pub async fn events(&self) -> Vec<String> {
        self.column("SELECT type FROM auth_event WHERE type NOT LIKE 'key_%' ORDER BY at, id").await
    }
}

/// Connects without an idle timeout and a lifetime limit, as the server does: with these limits,
/// sqlx pools can spin forever.
async fn connect(url: impl Into<String>) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
    Database::connect(options).await.unwrap()
}

async fn run_each(url: String, statements: &[String]) {
    let db = connect(url).await;
    for sql in statements {
        db.execute_unprepared(sql).await.unwrap();
    }
}

/// Random hexadecimal digits, so that concurrent tests do not use the same name.
fn unique_name() -> String {
    let mut bytes = [0; 8];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

impl Postgres {
    fn url(&self) -> String {
        let (before, query) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (server, _) = before.rsplit_once('/').unwrap();
        format!("{server}/{}?{query}", self.name)
    }

    async fn run(&self, sql: String) {
        connect(&self.server).await.execute_unprepared(&sql).await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let drops = [self.name.clone(), format!("{}_backup", self.name)]
            .map(|name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let server = self.server.clone();
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(run_each(server, &drops));
        });
        dropping.join().unwrap();
    }
}
