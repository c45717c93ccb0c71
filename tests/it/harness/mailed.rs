//! The links and codes in mails that the SMTP server of a test received.

use crate::harness::eventually;
use crate::harness::smtp::{Mail, SmtpServer};

/// Waits for the mail with this number, from 1.
pub async fn mail(smtp: &SmtpServer, number: usize) -> Mail {
    eventually("the mail arrives", async || smtp.mails().len() >= number).await;
    smtp.mails().remove(number - 1)
}

/// The address of the link, and the code.
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
