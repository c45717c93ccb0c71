//! The values of a mail, computed when it is sent.

use crate::domain::forgotten_password::{self, Secrets};
use crate::domain::language::Language;
use crate::domain::mail::{Content, QueuedMail};
use crate::domain::password_reset::ResetError;
use crate::http::{App, describe_browser};
use crate::server::mail_delivery::templates::Values;

/// The values for the template of a mail. `None` if the mail is no longer of use, or is never sent.
///
/// # Errors
/// If the database refuses.
pub(super) async fn values(app: &App, mail: &QueuedMail) -> Result<Option<Values>, ResetError> {
    let values = Values { issuer: app.issuer_url.clone(), ..Values::default() };
    match &mail.content {
        Content::PasswordChanged | Content::TokenReuse => Ok(Some(values)),
        Content::NewDevice { user_agent, address } => {
            let device = user_agent.as_deref();
            let device = device.and_then(|it| describe_browser(it, mail.language));
            let device = device.unwrap_or_else(|| unknown_program(mail.language).to_owned());
            let address = address.clone().unwrap_or_else(|| "-".to_owned());
            Ok(Some(Values { device, address, ..values }))
        }
        Content::ResetPassword { expires_at } => {
            let (db, tokens) = (&app.db, &app.reset_tokens);
            let secrets = forgotten_password::secrets(db, tokens, mail.account_id, *expires_at);
            Ok(secrets.await?.map(|Secrets { token, code }| {
                // RS-04: only the issuer decides where the link leads.
                let link = format!("{}/reset-password?token={token}", app.issuer_url);
                Values { link, code, ..values }
            }))
        }
        Content::Nothing => Ok(None),
    }
}

/// A program that is not a known browser. Its name is not shown, because everyone can choose it.
const fn unknown_program(language: Language) -> &'static str {
    match language {
        Language::En => "a program",
        Language::De => "ein Programm",
    }
}
