//! Database checks: whether a start would detect that an older backup of the database was restored.

use crate::cli::doctor::report::Report;
use crate::config::DatabaseUrl;
use crate::database::{Comparison, Db, Lineage, StateFile};

const MOVE_STATE_FILE: &str = "set SIGNET_STATE_FILE to a writable path outside the folder of the \
                            database and outside its backups";

pub(super) async fn examine(db: &Db, url: &DatabaseUrl, file: &StateFile, report: &mut Report) {
    let Some(lineage) = report.read("the database", Lineage::read(db).await) else { return };
    if let Some(restore) = lineage.restore {
        report.note(format!("`signet restored` was last run at {}", restore.at.to_rfc3339()));
    }
    let path = file.path().display();
    match file.compare(&lineage) {
        Ok(Comparison::Older) => report.fault(
            format!(
                "according to the state file {path}, the database was newer before: an older \
                 backup was restored"
            ),
            "run `signet restored`; without it, what was revoked after the backup was made is \
             valid again",
        ),
        Ok(Comparison::Current) => report.fine(format!("the state file {path} records the database")),
        Ok(Comparison::New) => report.note("nothing has been issued from this database yet"),
        Ok(Comparison::Unknown) => report.fault(
            format!("the state file {path} does not record this database"),
            "start an instance with this SIGNET_STATE_FILE; if it cannot write the file, it logs that",
        ),
        Err(error) => {
            report.fault(format!("the state file {path} cannot be read: {error}"), MOVE_STATE_FILE);
        }
    }
    if !file.is_writable() {
        report.fault(format!("the state file {path} cannot be written"), MOVE_STATE_FILE);
    }
    if url.sqlite_file().is_some_and(|database| file.is_beside(&database)) {
        report.fault(
            format!("the state file {path} is in the folder of the database, and restored with it"),
            MOVE_STATE_FILE,
        );
    }
}
