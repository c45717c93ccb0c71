//! Opens and closes the database of a command.

use crate::cli::output::print;
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::database::{Db, migrate_up};

/// Opens the database and applies pending migrations.
pub(super) async fn open(settings: &DatabaseSettings) -> anyhow::Result<Db> {
    let db = Db::open(settings, Clock::shared()).await?;
    migrate_up(&db).await?;
    Ok(db)
}

/// Prints the result of a command and closes the database.
pub(super) async fn finish(db: &Db, result: &str) -> anyhow::Result<()> {
    print(result)?;
    db.close().await;
    Ok(())
}
