//! Checks of mail: whether the SMTP server can be reached, and whether mails wait.

use std::time::Duration;

use crate::cli::doctor::report::Report;
use crate::config::MailSettings;
use crate::database::Db;
use crate::domain::mail::delivery;
use crate::domain::outbox::{self, Kind};
use crate::server::mail_delivery::Mailer;
use crate::timestamp::Timestamp;

/// A mail is late if its next attempt has been due for longer than this. While a mail waits for a
/// retry, up to an hour, it is not due.
const LATE: Duration = Duration::from_mins(10);

/// Checks the settings, and whether the SMTP server accepts a connection with them.
pub(super) async fn examine_server(settings: &MailSettings, report: &mut Report) {
    if !settings.is_on() {
        return report.note("mail is off (SIGNET_MAIL)".to_owned());
    }
    match Mailer::new(settings) {
        Err(error) => report.fault(error.to_string(), "correct the settings of mail"),
        Ok(None) => {}
        Ok(Some(mailer)) => match mailer.check_server().await {
            Ok(()) => report.fine("the SMTP server accepts the connection and the login"),
            Err(error) => report.fault(
                format!("no mail can be sent: {}", error.details),
                "correct SIGNET_MAIL, or repair the SMTP server; Signet retries for a day",
            ),
        },
    }
}

/// Reports mails that wait, and dead letters.
pub(super) async fn examine_outbox(db: &Db, now: Timestamp, report: &mut Report) {
    match report.read("the mails", delivery::overdue(db, now.minus(LATE)).await) {
        Some(true) => report.fault(
            "a mail has been due for ten minutes".to_owned(),
            "start an instance with SIGNET_MAIL set; the logs say why a mail is not sent",
        ),
        Some(false) => report.fine("no mail is late"),
        None => {}
    }
    match report.read("the dead letters", outbox::count(db, Kind::DeadMail).await) {
        Some(0) => report.fine("no mail is a dead letter"),
        Some(number) => report.note(format!(
            "dead letters, which could not be sent: {number}. `signet mail list` shows them, and \
             `signet mail resend` sends them again"
        )),
        None => {}
    }
}
