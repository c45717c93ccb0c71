//! The links and codes in mails that the SMTP server of a test received.

use signet::config::Config;

use crate::harness::eventually;
use crate::harness::smtp::{Mail, SmtpServer};

/// Turns mail on, with an SMTP server that does not exist: the pages that require mail are shown,
/// and mails stay in the outbox.
pub fn mail_without_server(config: &mut Config) {
    mail_by(config, "smtp://127.0.0.1:1?tls=off");
}

/// Turns mail on, with the SMTP server of this URL.
pub fn mail_by(config: &mut Config, url: &str) {
    config.mail.mail = url.parse().unwrap();
    config.mail.mail_from = Some("id@example.test".to_owned());
}

/// Waits for the mail with this number and returns it. The first mail received has the number 1.
pub async fn mail(smtp: &SmtpServer, number: usize) -> Mail {
    eventually("the mail arrives", async || smtp.mails().len() >= number).await;
    smtp.mails().remove(number - 1)
}

/// The URL of the link, and the code.
pub fn secrets(mail: &Mail) -> (String, String) {
    let text = mail.text();
    let mut lines = text.lines();
    let link = lines.find(|line| line.starts_with("https://")).unwrap();
    let code = lines.find(|line| line.len() == 9 && line.contains('-')).unwrap();
    (link.to_owned(), code.to_owned())
}

/// The token of a link.
pub fn token_of(link: &str) -> &str {
    link.split_once("token=").unwrap().1
}
