//! Sends a mail, by SMTP or into a directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::AddressError;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{self, AsyncSmtpTransport};
use lettre::{Address, AsyncTransport, Message, Tokio1Executor};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::{Encryption, MailSettings, MailTransport, SmtpServer};
use crate::domain::language::Language;
use crate::server::mail_delivery::templates::{TemplateError, Text};
use crate::timestamp::Timestamp;

/// How long sending a mail may take. An SMTP server may scan a mail before it accepts the mail.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a check of the connection may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The default port of submission with TLS from the start (RFC 8314 §7.3).
const SUBMISSIONS: u16 = 465;

/// The default port of submission (RFC 6409 §3.1).
const SUBMISSION: u16 = 587;

/// Why mail cannot be sent with these settings.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// A setting is missing.
    #[error("{0}")]
    Settings(String),
    /// `SIGNET_MAIL_FROM` is not an address.
    #[error(
        "SIGNET_MAIL_FROM is not an address such as id@example.com or Example <id@example.com>: {0}"
    )]
    From(AddressError),
    /// The password cannot be read.
    #[error("cannot read the password file {file} (SIGNET_MAIL_PASSWORD_FILE): {source}")]
    Password {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file of the password is empty, or has several lines.
    #[error("the password file {0} (SIGNET_MAIL_PASSWORD_FILE) must have exactly one line")]
    PasswordLines(PathBuf),
    /// Mails cannot be written to the directory.
    #[error("cannot write to the directory {directory} (SIGNET_MAIL): {source}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The templates cannot be used.
    #[error(transparent)]
    Templates(#[from] TemplateError),
    /// TLS cannot be used.
    #[error("cannot use TLS for SIGNET_MAIL: {0}")]
    Tls(smtp::Error),
}

/// A mail, ready to be sent.
pub struct Letter {
    /// The id of its row in the outbox, from which its `Message-ID` is derived. So a mail that is
    /// sent twice has the same `Message-ID` both times.
    pub id: Uuid,
    /// The address of the recipient.
    pub to: String,
    /// The language of the text.
    pub language: Language,
    /// Subject and text.
    pub text: Text,
    /// When the mail was queued.
    pub date: Timestamp,
}

/// Why a mail was not sent.
#[derive(Debug)]
pub struct SendError {
    /// The reason, for logs and the audit log. It contains no email address.
    pub reason: String,
    /// The reason in the SMTP server's words, which may contain email addresses.
    pub details: String,
    /// Whether the cause concerns this mail alone. Otherwise it concerns all mails.
    pub is_of_mail: bool,
    /// Whether sending the mail again would fail, too.
    pub is_permanent: bool,
}

/// Sends mails.
pub struct Mailer {
    from: Mailbox,
    route: Route,
}

enum Route {
    Directory(PathBuf),
    Smtp(Box<AsyncSmtpTransport<Tokio1Executor>>),
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5), so that no vacation notice is sent in response.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// `Content-Language` (RFC 3282).
#[derive(Debug, Clone)]
struct ContentLanguage(Language);

impl Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(Language::of_tag(text).unwrap_or_default()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.tag().to_owned())
    }
}

impl Mailer {
    /// Checks the settings, and reads the password. `None` if mail is off. Connects to nothing.
    ///
    /// # Errors
    /// See [`MailError`].
    pub fn new(settings: &MailSettings) -> Result<Option<Self>, MailError> {
        settings.check().map_err(MailError::Settings)?;
        let Some(from) = &settings.mail_from else { return Ok(None) };
        let from: Mailbox = from.parse().map_err(MailError::From)?;
        let route = match &settings.mail {
            MailTransport::Off => return Ok(None),
            MailTransport::Directory(directory) => {
                check_directory(directory).map_err(|source| MailError::Directory {
                    directory: directory.clone(),
                    source,
                })?;
                Route::Directory(directory.clone())
            }
            MailTransport::Smtp(server) => {
                let password = settings.mail_password_file.as_deref().map(read_password);
                let password = password.transpose()?;
                Route::Smtp(Box::new(transport(server, password, &from)?))
            }
        };
        Ok(Some(Self { from, route }))
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// See [`SendError`]. If the connection failed after the mail was transmitted, the mail may
    /// have been sent nevertheless.
    pub async fn send(&self, letter: Letter) -> Result<(), SendError> {
        let id = letter.id;
        let message = self.message(letter).map_err(|error| SendError {
            reason: "address".to_owned(),
            details: error.to_string(),
            is_of_mail: true,
            is_permanent: true,
        })?;
        match &self.route {
            Route::Directory(directory) => {
                let written = write_in_background(directory.clone(), id, message.formatted()).await;
                written.map_err(|error| SendError::of_server(error.to_string()))
            }
            Route::Smtp(transport) => {
                let sent = timeout(SEND_TIMEOUT, transport.send(message)).await;
                sent.map_err(|_| SendError::of_timeout())?
                    .map(drop)
                    .map_err(|error| classified(&error))
            }
        }
    }

    /// Connects to the SMTP server, and logs in if there is a password. Sends nothing.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn check_server(&self) -> Result<(), SendError> {
        let Route::Smtp(transport) = &self.route else { return Ok(()) };
        match timeout(CHECK_TIMEOUT, transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(SendError::of_server("the server closed the connection".to_owned()))
            }
            Ok(Err(error)) => Err(classified(&error)),
            Err(_) => {
                let seconds = CHECK_TIMEOUT.as_secs();
                Err(SendError::of_server(format!("no response within {seconds} s")))
            }
        }
    }

    fn message(&self, letter: Letter) -> Result<Message, Box<dyn std::error::Error>> {
        let Letter { id, to, language, text: Text { subject, plain, html }, date } = letter;
        let to: Address = to.parse()?;
        let date = UNIX_EPOCH + Duration::from_micros(u64::try_from(date.as_micros())?);
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(date)
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(AutoSubmitted)
            .header(ContentLanguage(language))
            .multipart(MultiPart::alternative_plain_html(plain, html))?;
        Ok(message)
    }
}

impl SendError {
    /// A temporary failure that concerns all mails. `reason` must contain no email address.
    fn of_server(reason: String) -> Self {
        Self { details: reason.clone(), reason, is_of_mail: false, is_permanent: false }
    }

    /// The server did not accept the mail in time.
    fn of_timeout() -> Self {
        let reason = format!("not done within {} s", SEND_TIMEOUT.as_secs());
        Self { is_of_mail: true, ..Self::of_server(reason) }
    }
}

/// Replies that permanently refuse a recipient or a mail (RFC 5321 §4.2.3, RFC 7504). Other replies of
/// 5xx may concern the server or this host: 554 is also the greeting of a server that has blocked it.
const PERMANENT: [&str; 5] = ["550", "551", "552", "553", "556"];

/// Classifies an error. A reply to `AUTH` (53x) concerns all mails. All other replies concern the
/// mail. Some servers send 421 because of the recipient. Therefore a 421 counts as a reply to the
/// mail, so that it does not delay other mails.
fn classified(error: &smtp::Error) -> SendError {
    let mut root: &dyn std::error::Error = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let details = root.to_string();
    if let Some(code) = error.status() {
        let reason = code.to_string();
        let is_of_mail = !reason.starts_with("53");
        let is_permanent = PERMANENT.contains(&reason.as_str());
        return SendError {
            details: format!("{reason} {details}"),
            reason,
            is_of_mail,
            is_permanent,
        };
    }
    if error.is_client() && details.contains("non-ascii") {
        let reason = "the server does not support internationalised addresses (SMTPUTF8)";
        return SendError {
            is_of_mail: true,
            is_permanent: true,
            ..SendError::of_server(reason.to_owned())
        };
    }
    if error.is_response() {
        // The details quote the reply, which may contain the address.
        return SendError::of_server("the reply of the server cannot be read".to_owned());
    }
    SendError::of_server(details)
}

fn transport(
    server: &SmtpServer,
    password: Option<String>,
    from: &Mailbox,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let tls = || TlsParameters::new(server.host.clone()).map_err(MailError::Tls);
    let (tls, port) = match server.encryption {
        Encryption::Tls => (Tls::Wrapper(tls()?), SUBMISSIONS),
        Encryption::StartTls => (Tls::Required(tls()?), SUBMISSION),
        Encryption::None => (Tls::None, SUBMISSION),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
        .port(server.port.unwrap_or(port))
        .tls(tls)
        .timeout(Some(SEND_TIMEOUT))
        .hello_name(ClientId::Domain(from.email.domain().to_owned()));
    if let (Some(user), Some(password)) = (&server.user, password) {
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn read_password(file: &Path) -> Result<String, MailError> {
    let text = fs::read_to_string(file)
        .map_err(|source| MailError::Password { file: file.to_owned(), source })?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains(['\n', '\r', '\0']) {
        return Err(MailError::PasswordLines(file.to_owned()));
    }
    Ok(password.to_owned())
}

/// Checks whether the directory exists and files can be created in it.
fn check_directory(directory: &Path) -> io::Result<()> {
    let probe = directory.join(format!(".signet-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
    fs::remove_file(probe)
}

/// Writes a mail on a thread for blocking calls.
#[expect(clippy::disallowed_methods, reason = "an instance writes few mails at a time")]
async fn write_in_background(directory: PathBuf, id: Uuid, bytes: Vec<u8>) -> io::Result<()> {
    let written = spawn_blocking(move || write_file(&directory, id, &bytes)).await;
    written.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Writes a mail completely, or not at all. If it is written twice, the second file replaces the
/// first.
fn write_file(directory: &Path, id: Uuid, bytes: &[u8]) -> io::Result<()> {
    // A killed process may leave this file. Programs that read the directory skip hidden files.
    let temporary = directory.join(format!(".{id}.{}", std::process::id()));
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(format!("{id}.eml")))?;
        fs::File::open(directory)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}
