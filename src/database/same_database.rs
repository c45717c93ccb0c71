//! Whether two URLs name the same database, perhaps in different notations.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DbErr};

use crate::config::DatabaseUrl;
use crate::database::sql;

/// Timeout for connecting.
const WAIT: Duration = Duration::from_secs(5);

/// The start time of the PostgreSQL server identifies it, because several host names and IP
/// addresses may lead to one server, and only few users may read its system identifier.
const IDENTITY: &str = "SELECT concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()), \
                        (SELECT oid FROM pg_database WHERE datname = current_database()), \
                        current_schema())";

/// Whether both URLs name the same SQLite file, or the same schema of a PostgreSQL database. False
/// if one of them cannot be reached. Creates and changes nothing.
pub async fn is_same_database(one: &DatabaseUrl, other: &DatabaseUrl) -> bool {
    match (one.sqlite_file(), other.sqlite_file()) {
        (Some(one), Some(other)) => {
            let one = one.canonicalize().ok();
            one.is_some() && one == other.canonicalize().ok()
        }
        (None, None) => match (identity(one).await, identity(other).await) {
            (Ok(Some(one)), Ok(Some(other))) => one == other,
            _ => false,
        },
        _ => false,
    }
}

async fn identity(url: &DatabaseUrl) -> Result<Option<String>, DbErr> {
    let mut options = ConnectOptions::new(url.expose());
    options.max_connections(1).sqlx_logging(false).idle_timeout(None::<Duration>);
    options.max_lifetime(None::<Duration>).connect_timeout(WAIT).acquire_timeout(WAIT);
    let connection = Database::connect(options).await?;
    let identity = sql::first(&connection, IDENTITY, []).await;
    connection.close().await?;
    identity
}
