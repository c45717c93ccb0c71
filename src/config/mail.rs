//! Settings: sending mail.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, value_parser};
use url::{Host, Url};

/// Sending mail.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub struct MailSettings {
    /// How mail is sent. `off`: no mail. `smtp://[USER@]HOST[:PORT]`: by SMTP with STARTTLS, port
    /// 587 by default. `smtps://[USER@]HOST[:PORT]`: by SMTP with TLS from the start, port 465 by
    /// default. `file:DIRECTORY`: each mail becomes a file, for tests. TLS and a valid certificate
    /// are required; `?tls=off` after an `smtp` URL without a user permits a server without TLS.
    #[arg(long, env = "SIGNET_MAIL", default_value = "off")]
    pub mail: MailTransport,

    /// The `From` of all mails: `id@example.com`, or `Example <id@example.com>`. Required if mail
    /// is sent.
    #[arg(long, env = "SIGNET_MAIL_FROM")]
    pub mail_from: Option<String>,

    /// File with the password of the SMTP user. Required if, and only if, the URL has a user.
    #[arg(long, env = "SIGNET_MAIL_PASSWORD_FILE")]
    pub mail_password_file: Option<PathBuf>,

    /// Send notices to the owner of an account: about a changed password, a login from a new
    /// device, and a refresh token that was used twice.
    #[arg(long, env = "SIGNET_MAIL_NOTICES", default_value = "true",
          action = clap::ArgAction::Set)]
    pub mail_notices: bool,

    /// Directory with templates that replace those of the same name in Signet's source
    /// (`src/templates/mail`). A template that is not valid, or has another name, is refused at the
    /// start.
    #[arg(long, env = "SIGNET_MAIL_TEMPLATES")]
    pub mail_templates: Option<PathBuf>,

    /// Maximum number of requested mails to one email address in any hour. Anyone can request such
    /// mails, for example for a forgotten password. Further mails are dropped, and recorded in the
    /// audit log. Requests from one client address cause at most half of them, rounded up. Notices
    /// and invites have separate limits of the same size.
    #[arg(long, env = "SIGNET_MAILS_PER_HOUR", default_value = "5",
          value_parser = value_parser!(u32).range(1..=1000))]
    pub mails_per_hour: u32,

    /// The same limit as `SIGNET_MAILS_PER_HOUR`, but in any 24 hours.
    #[arg(long, env = "SIGNET_MAILS_PER_DAY", default_value = "20",
          value_parser = value_parser!(u32).range(1..=1000))]
    pub mails_per_day: u32,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailTransport {
    /// No mail is sent.
    Off,
    /// Each mail becomes a file in this directory.
    Directory(PathBuf),
    /// By SMTP.
    Smtp(SmtpServer),
}

/// An SMTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    /// The host name, or an IP address.
    pub host: String,
    /// The port, if it is not the default.
    pub port: Option<u16>,
    /// The user name. The password is in a file.
    pub user: Option<String>,
    /// The encryption of the connection.
    pub encryption: Encryption,
}

/// The encryption of a connection to an SMTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the start (RFC 8314 §3.3).
    Tls,
    /// STARTTLS (RFC 3207), which the server must support.
    StartTls,
    /// None.
    None,
}

impl MailSettings {
    /// Whether mail is sent.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mail != MailTransport::Off
    }

    /// Checks that the settings that `mail` needs are set, and do not contradict each other.
    ///
    /// # Errors
    /// A message that names the missing or contradictory setting.
    pub fn check(&self) -> Result<(), String> {
        let has_user = matches!(&self.mail, MailTransport::Smtp(SmtpServer { user: Some(_), .. }));
        if self.is_on() && self.mail_from.is_none() {
            return Err("SIGNET_MAIL_FROM must be set if SIGNET_MAIL is not off".to_owned());
        }
        match (&self.mail_password_file, has_user) {
            (None, true) => {
                Err("SIGNET_MAIL has a user, so SIGNET_MAIL_PASSWORD_FILE must be set \
                                 to a file with the password"
                    .to_owned())
            }
            (Some(_), false) => {
                Err("SIGNET_MAIL_PASSWORD_FILE is set, but SIGNET_MAIL has no user".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for MailTransport {
    type Err = String;

    /// No error contains the value, because it may contain a password.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Some(directory) = text.strip_prefix("file:") {
            if directory.is_empty() {
                return Err("must be file:DIRECTORY".to_owned());
            }
            return Ok(Self::Directory(Path::new(directory).to_owned()));
        }
        if !text.starts_with("smtp://") && !text.starts_with("smtps://") {
            return Err("must be off, smtp://HOST, smtps://HOST or file:DIRECTORY".to_owned());
        }
        smtp_server(text).map(Self::Smtp)
    }
}

fn smtp_server(text: &str) -> Result<SmtpServer, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.password().is_some() {
        return Err(
            "must not contain a password, because other programs can read the environment: \
                    write the password to a file, and set SIGNET_MAIL_PASSWORD_FILE"
                .to_owned(),
        );
    }
    let encryption = match (url.scheme(), url.query()) {
        ("smtps", None) => Encryption::Tls,
        ("smtp", None) => Encryption::StartTls,
        ("smtp", Some("tls=off")) => Encryption::None,
        _ => return Err("must have no query, except ?tls=off after smtp://".to_owned()),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err("must have no path and no fragment".to_owned());
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("has no host")?;
    let host = match Host::parse(host).map_err(|error| format!("has no valid host: {error}"))? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let user = user.map(decoded).transpose()?;
    if user.is_some() && encryption == Encryption::None {
        return Err(
            "must not have a user and ?tls=off, because the password would be sent without \
                    encryption"
                .to_owned(),
        );
    }
    Ok(SmtpServer { host, port: url.port(), user, encryption })
}

/// Decodes the percent-encoded user name of a URL.
fn decoded(text: &str) -> Result<String, String> {
    // A user name in a URL may contain `+`, `&` and `=` unencoded. The decoder of forms, which is
    // used here, would decode `+` to a space and end the name at the others.
    let escaped = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let mut decoded = url::form_urlencoded::parse(escaped.as_bytes());
    let name = decoded.next().map(|(name, _)| name.into_owned()).unwrap_or_default();
    if name.is_empty() || name.contains(['\u{fffd}', '\0', '\r', '\n']) {
        return Err("has a user name that is not valid UTF-8 text in one line".to_owned());
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> SmtpServer {
        match text.parse() {
            Ok(MailTransport::Smtp(server)) => server,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn smtp_url_gives_host_port_user_and_encryption() {
        let expected = SmtpServer {
            host: "mail.example".to_owned(),
            port: None,
            user: None,
            encryption: Encryption::StartTls,
        };
        assert_eq!(server("smtp://mail.example"), expected);
        let tls = server("smtps://a%40b+c:@[::1]:2465");
        assert_eq!((tls.host.as_str(), tls.port), ("::1", Some(2465)));
        assert_eq!((tls.user.as_deref(), tls.encryption), (Some("a@b+c"), Encryption::Tls));
        assert_eq!(server("smtp://127.0.0.1:25?tls=off").encryption, Encryption::None);
    }

    #[test]
    fn error_for_an_invalid_transport_does_not_repeat_it() {
        for text in [
            "on",
            "smtp:",
            "smtp://",
            "http://mail.example",
            "file:",
            "smtp://user:secret@mail.example",
            "smtps://mail.example?tls=off",
            "smtp://mail.example?tls=secret",
            "smtp://mail.example/secret",
            "smtp://user@mail.example?tls=off",
            "smtp://a%0d%0ab@mail.example",
        ] {
            let refused = text.parse::<MailTransport>().unwrap_err();
            assert!(!refused.contains("secret"), "{text}: {refused}");
        }
    }
}
