//! Settings: branding of the hosted pages.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use url::Url;

use crate::config::scopes::ScopeDescriptions;
use crate::naming::is_name;

/// Maximum length of the service name, in characters: it must fit next to a logo on a phone.
const MAX_NAME: usize = 40;

/// Maximum length of the logo's URL, in bytes: every page sends it in a header.
const MAX_URL: usize = 500;

/// Name, logo, colour and scope descriptions of the hosted pages.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Hosted pages")]
pub struct PageSettings {
    /// Name of the service on the hosted pages; at most 40 characters.
    #[arg(long, env = "SIGNET_SERVICE_NAME", default_value = "Signet", value_parser = parse_name)]
    pub service_name: String,

    /// Logo next to the service name: the path of a file (svg, png, webp or jpg, at most 256 KiB),
    /// or an https URL, whose host then sees the IP address of each visitor. Default: the first
    /// letter of the service name.
    #[arg(long, env = "SIGNET_LOGO")]
    pub logo: Option<Logo>,

    /// Colour of buttons, as `#rrggbb`. Their text is black or white, whichever has the higher
    /// contrast.
    #[arg(long, env = "SIGNET_ACCENT_COLOR", default_value = "#276a5c")]
    pub accent_color: Color,

    /// Descriptions of your scopes on the consent page: `tasks:read=see your tasks;
    /// tasks:write=change your tasks`. Each description continues the words “it may” and has at most
    /// 80 characters. A scope without a description is shown by its name.
    #[arg(long, env = "SIGNET_SCOPE_DESCRIPTIONS", default_value = "", hide_default_value = true)]
    pub scope_descriptions: ScopeDescriptions,
}

/// The source of the logo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logo {
    /// A file that Signet serves.
    File(PathBuf),
    /// An https URL of another host.
    Url(String),
}

/// A colour as its red, green and blue components in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

fn parse_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if !is_name(name, MAX_NAME) {
        return Err(format!("must be 1 to {MAX_NAME} characters in one line, all of them visible"));
    }
    Ok(name.to_owned())
}

impl FromStr for Logo {
    type Err = String;

    /// A URL must be valid as a source expression of a Content-Security-Policy (CSP 3 §2.3.1).
    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return if text.is_empty() {
                Err("must be a path or an https URL".to_owned())
            } else {
                Ok(Self::File(text.into()))
            };
        }
        let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let is_valid_source =
            url.as_str().bytes().all(|b| b.is_ascii_graphic() && !b";,'".contains(&b));
        let is_short = url.as_str().len() <= MAX_URL;
        let has_valid_host = url.host_str().is_some_and(|host| !host.starts_with('['));
        if url.scheme() != "https" || !is_plain || !is_valid_source || !has_valid_host || !is_short
        {
            return Err(format!(
                "must be an https URL of at most {MAX_URL} bytes without user name, query and \
                 fragment, or a path"
            ));
        }
        Ok(Self::Url(url.into()))
    }
}

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = number.ok_or("must be #rrggbb")?.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Color {
    /// Contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}
