//! The values of a mail, computed when it is sent.

use crate::domain::email_challenge::{Purpose, Secrets};
use crate::domain::email_confirmation;
use crate::domain::forgotten_password;
use crate::domain::invite::{self, TokenToMail};
use crate::domain::language::Language;
use crate::domain::mail::{Content, QueuedMail};
use crate::domain::password_reset::ResetError;
use crate::domain::pending_sign_up;
use crate::http::{App, describe_browser};
use crate::server::mail_delivery::templates::Values;
use crate::timestamp::Timestamp;

/// What a queued mail says when it is sent.
pub(super) enum MailValues {
    /// The values for its template.
    Known(Values),
    /// The mail is not sent: its link is void, or its content is [`Content::Nothing`].
    NotSent,
    /// The link of an invite cannot be computed, because this instance does not have the master key
    /// with which the mail was queued. The database has the digest of the invite's token, so no
    /// other key can compute this token.
    UnknownKey,
}

impl From<Option<Values>> for MailValues {
    fn from(values: Option<Values>) -> Self {
        values.map_or(Self::NotSent, Self::Known)
    }
}

/// The mail that is sent for a queued mail (see [`pending_sign_up::mail_of`]), and the values for
/// its template. `None` if no mail is sent.
///
/// # Errors
/// If the database refuses.
pub(super) async fn mail_and_values(
    app: &App,
    queued: QueuedMail,
) -> Result<Option<(QueuedMail, MailValues)>, ResetError> {
    let Some(mail) = pending_sign_up::mail_of(&app.db, queued).await? else { return Ok(None) };
    let values = values(app, &mail).await?;
    Ok(Some((mail, values)))
}

async fn values(app: &App, mail: &QueuedMail) -> Result<MailValues, ResetError> {
    let values = Values { issuer: app.issuer_url.clone(), ..Values::default() };
    match &mail.content {
        Content::PasswordChanged
        | Content::TokenReuse
        | Content::EmailChanged
        | Content::AddressInUse => Ok(MailValues::Known(values)),
        Content::NewDevice { user_agent, address } => {
            let device = user_agent.as_deref();
            let device = device.and_then(|it| describe_browser(it, mail.language));
            let device = device.unwrap_or_else(|| unknown_program(mail.language).to_owned());
            let address = address.clone().unwrap_or_else(|| "-".to_owned());
            Ok(MailValues::Known(Values { device, address, ..values }))
        }
        Content::ResetPassword { expires_at } => {
            let (db, tokens) = (&app.db, &app.reset_tokens);
            let secrets = forgotten_password::secrets(db, tokens, mail.account_id, *expires_at);
            let values = secrets.await?.map(|Secrets { token, code }| {
                // RS-04: the link is built from the issuer setting and nothing in a request.
                let link = format!("{}/reset-password?token={token}", app.issuer_url);
                Values { link, code, ..values }
            });
            Ok(values.into())
        }
        Content::VerifyEmail { expires_at } => {
            let challenge = (Purpose::VerifyEmail, *expires_at);
            confirmation(app, mail, challenge, values).await
        }
        Content::ChangeEmail { expires_at } => {
            let challenge = (Purpose::ChangeEmail, *expires_at);
            confirmation(app, mail, challenge, values).await
        }
        Content::SignUp { expires_at } => {
            confirmation(app, mail, (Purpose::SignUp, *expires_at), values).await
        }
        Content::Invite { expires_at } => {
            let (db, tokens, now) = (&app.db, &app.invite_tokens, app.clock.now());
            Ok(match invite::token_to_mail(db, tokens, mail.account_id, now).await? {
                TokenToMail::Token(token) => {
                    let link = format!("{}/signup?invite={token}", app.issuer_url);
                    MailValues::Known(Values { link, until: expires_at.to_minute(), ..values })
                }
                TokenToMail::Void => MailValues::NotSent,
                TokenToMail::UnknownKey => MailValues::UnknownKey,
            })
        }
        Content::Nothing => Ok(MailValues::NotSent),
    }
}

/// The values of a mail that proves control of an address.
async fn confirmation(
    app: &App,
    mail: &QueuedMail,
    challenge: (Purpose, Timestamp),
    values: Values,
) -> Result<MailValues, ResetError> {
    let (db, tokens) = (&app.db, &app.email_tokens);
    let secrets = email_confirmation::secrets(db, tokens, mail.account_id, challenge).await?;
    let values = secrets.map(|Secrets { token, code }| {
        let link = format!("{}/verify-email?token={token}", app.issuer_url);
        Values { link, code, ..values }
    });
    Ok(values.into())
}

/// The words for a program that is not a known browser. The program's own name is not shown,
/// because anyone can send any name.
const fn unknown_program(language: Language) -> &'static str {
    match language {
        Language::En => "a program",
        Language::De => "ein Programm",
    }
}
