//! The texts of mails, from templates in Jinja syntax.
//!
//! There is one text template per mail and language, such as `password_changed.de.txt`. Its first
//! line is the subject. The HTML part is made from the text by `frame.html`: each paragraph becomes
//! a `<p>`. A paragraph that is only the link, or only the code, is marked up as such.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::domain::language::Language;

/// The template of the HTML part of all mails.
const FRAME: &str = "frame.html";

/// The first line of each text template begins with this.
const SUBJECT: &str = "Subject: ";

/// Signet's own templates.
const OWN: [(&str, &str); 23] = [
    (FRAME, include_str!("../../templates/mail/frame.html")),
    ("address_in_use.de.txt", include_str!("../../templates/mail/address_in_use.de.txt")),
    ("address_in_use.en.txt", include_str!("../../templates/mail/address_in_use.en.txt")),
    ("change_email.de.txt", include_str!("../../templates/mail/change_email.de.txt")),
    ("change_email.en.txt", include_str!("../../templates/mail/change_email.en.txt")),
    ("email_changed.de.txt", include_str!("../../templates/mail/email_changed.de.txt")),
    ("email_changed.en.txt", include_str!("../../templates/mail/email_changed.en.txt")),
    ("invite.de.txt", include_str!("../../templates/mail/invite.de.txt")),
    ("invite.en.txt", include_str!("../../templates/mail/invite.en.txt")),
    ("new_device.de.txt", include_str!("../../templates/mail/new_device.de.txt")),
    ("new_device.en.txt", include_str!("../../templates/mail/new_device.en.txt")),
    ("password_changed.de.txt", include_str!("../../templates/mail/password_changed.de.txt")),
    ("password_changed.en.txt", include_str!("../../templates/mail/password_changed.en.txt")),
    ("reset_password.de.txt", include_str!("../../templates/mail/reset_password.de.txt")),
    ("reset_password.en.txt", include_str!("../../templates/mail/reset_password.en.txt")),
    ("sign_up.de.txt", include_str!("../../templates/mail/sign_up.de.txt")),
    ("sign_up.en.txt", include_str!("../../templates/mail/sign_up.en.txt")),
    ("test.de.txt", include_str!("../../templates/mail/test.de.txt")),
    ("test.en.txt", include_str!("../../templates/mail/test.en.txt")),
    ("token_reuse.de.txt", include_str!("../../templates/mail/token_reuse.de.txt")),
    ("token_reuse.en.txt", include_str!("../../templates/mail/token_reuse.en.txt")),
    ("verify_email.de.txt", include_str!("../../templates/mail/verify_email.de.txt")),
    ("verify_email.en.txt", include_str!("../../templates/mail/verify_email.en.txt")),
];

/// Why the templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The directory or a file cannot be read.
    #[error("cannot read the mail templates {path} (SIGNET_MAIL_TEMPLATES): {source}")]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file has a name that is not the name of a template.
    #[error(
        "{0} is not the name of a mail template (SIGNET_MAIL_TEMPLATES); the names are {names}",
        names = names()
    )]
    Unknown(PathBuf),
    /// A template is not valid, or uses a variable that does not exist.
    #[error("the mail template {file}, line {line}, is not valid: {why}")]
    Invalid {
        /// The name of the file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The cause.
        why: String,
    },
}

fn names() -> String {
    OWN.map(|(name, _)| name).join(", ")
}

/// The values that templates can use. A mail has only some of them; the others are empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Values {
    /// The name of the service (`SIGNET_SERVICE_NAME`).
    pub service: String,
    /// The issuer URL.
    pub issuer: String,
    /// When the event happened that caused the mail, such as `2026-01-14 10:00 UTC`.
    pub time: String,
    /// When the link of an invite expires. Other links expire half an hour after `time`.
    pub until: String,
    /// The browser and its system, in the language of the mail.
    pub device: String,
    /// The client address of the request.
    pub address: String,
    /// The link that the recipient should open.
    pub link: String,
    /// The code that the recipient should enter.
    pub code: String,
}

/// A rendered mail.
#[derive(Debug)]
pub struct Text {
    /// The subject, one line.
    pub subject: String,
    /// The text part.
    pub plain: String,
    /// The HTML part.
    pub html: String,
}

/// A paragraph of the HTML part.
#[derive(Serialize)]
struct Paragraph<'a> {
    text: &'a str,
    /// Whether the text is the link.
    is_link: bool,
    /// Whether the text is the code.
    is_code: bool,
}

/// The values that `frame.html` can use.
#[derive(Serialize)]
struct Frame<'a> {
    language: &'static str,
    service: &'a str,
    subject: &'a str,
    paragraphs: Vec<Paragraph<'a>>,
}

/// All templates.
pub struct Templates(Environment<'static>);

impl Templates {
    /// Loads Signet's templates. A file in `directory` replaces the template of the same name.
    /// Renders each template once, so that a template with a mistake is refused here.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn load(directory: Option<&Path>) -> Result<Self, TemplateError> {
        let mut sources: BTreeMap<&'static str, String> =
            OWN.map(|(name, text)| (name, text.to_owned())).into();
        if let Some(directory) = directory {
            read_directory(directory, &mut sources)?;
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match Path::new(name).extension() {
            Some(extension) if extension == "html" => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        for (name, text) in sources {
            let added = environment.add_template_owned(name, text);
            added.map_err(|error| invalid(name, &error))?;
        }
        let templates = Self(environment);
        templates.check()?;
        Ok(templates)
    }

    fn check(&self) -> Result<(), TemplateError> {
        for (name, _) in OWN.iter().filter(|(name, _)| *name != FRAME) {
            let language = if name.ends_with(".de.txt") { Language::De } else { Language::En };
            self.render_file(name, language, &Values::example())?;
        }
        Ok(())
    }

    /// Renders the mail with this name.
    ///
    /// # Errors
    /// [`TemplateError::Invalid`].
    pub fn render(
        &self,
        name: &str,
        language: Language,
        values: &Values,
    ) -> Result<Text, TemplateError> {
        self.render_file(&format!("{name}.{}.txt", language.tag()), language, values)
    }

    fn render_file(
        &self,
        file: &str,
        language: Language,
        values: &Values,
    ) -> Result<Text, TemplateError> {
        let rendered = self
            .0
            .get_template(file)
            .and_then(|template| template.render(Value::from(Serde(values))));
        let rendered = rendered.map_err(|error| invalid(file, &error))?.replace("\r\n", "\n");
        let (first, plain) = rendered.split_once('\n').unwrap_or((&rendered, ""));
        let subject = first.strip_prefix(SUBJECT).map(str::trim).filter(|it| !it.is_empty());
        let subject = subject.ok_or_else(|| TemplateError::Invalid {
            file: file.to_owned(),
            line: 1,
            why: format!("the first line must be \"{SUBJECT}\" and the subject"),
        })?;
        let plain = format!("{}\n", plain.trim());
        let texts = plain.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
        let frame = Frame {
            language: language.tag(),
            service: &values.service,
            subject,
            paragraphs: texts
                .map(|text| Paragraph {
                    text,
                    is_link: text == values.link,
                    is_code: text == values.code,
                })
                .collect(),
        };
        let html = self
            .0
            .get_template(FRAME)
            .and_then(|template| template.render(Value::from(Serde(frame))));
        let html = html.map_err(|error| invalid(FRAME, &error))?;
        Ok(Text { subject: subject.to_owned(), plain, html })
    }
}

impl Values {
    /// Values for the check at the start.
    fn example() -> Self {
        Self {
            service: "Example".to_owned(),
            issuer: "https://id.example.com".to_owned(),
            time: "2026-01-14 10:00 UTC".to_owned(),
            until: "2026-01-21 10:00 UTC".to_owned(),
            device: "Firefox on Linux".to_owned(),
            address: "203.0.113.9".to_owned(),
            link: "https://id.example.com/reset-password?token=sgp_example".to_owned(),
            code: "0123-ABCD".to_owned(),
        }
    }
}

/// Reads the files of `directory`. Hidden files, such as those of editors, are ignored.
fn read_directory(
    directory: &Path,
    sources: &mut BTreeMap<&'static str, String>,
) -> Result<(), TemplateError> {
    let unreadable =
        |path: &Path, source| TemplateError::Unreadable { path: path.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let Some((name, _)) = OWN.iter().find(|(own, _)| *own == name) else {
            return Err(TemplateError::Unknown(path));
        };
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        sources.insert(name, text);
    }
    Ok(())
}

fn invalid(file: &str, error: &minijinja::Error) -> TemplateError {
    let why = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateError::Invalid {
        file: error.name().unwrap_or(file).to_owned(),
        line: error.line().unwrap_or(1),
        why,
    }
}
