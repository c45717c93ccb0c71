//! The operator's branding of the hosted pages: read at start-up, and served from memory.

use std::io;
use std::path::{Path, PathBuf};

use askama::Template;

use crate::config::{Color, Logo, PageSettings, ScopeDescriptions};
use crate::http::document::Document;

/// Cache lifetime of the assets, in seconds. Afterwards browsers revalidate them by `ETag`.
const MAX_AGE: u64 = 300;

/// Maximum size of a logo, in bytes.
const MAX_LOGO: usize = 256 * 1024;

const STYLE: &str = include_str!("../templates/style.css");

/// The name of the asset that is the operator's logo.
const LOGO: &str = "logo";

/// The background of the page's panel (`.sheet` in `style.css`), in light and dark mode.
const PANEL_BACKGROUNDS: [(&str, Color); 2] =
    [("day", Color([0xff, 0xff, 0xff])), ("night", Color([0x1e, 0x24, 0x27]))];

const WHITE: Color = Color([0xff; 3]);
const BLACK: Color = Color([0; 3]);

/// Minimum contrast between a button's outline and its surroundings (WCAG 2.2, 1.4.11).
const MIN_OUTLINE_CONTRAST: f64 = 3.0;

/// The Content-Security-Policy of the logo. It makes an SVG safe even if it is opened directly.
const LOGO_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Why a logo cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogoError {
    /// It does not exist or is not readable.
    #[error("cannot read the logo {0} (SIGNET_LOGO): {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// It is too large for a file that every page loads.
    #[error("the logo {0} (SIGNET_LOGO) is larger than 256 KiB")]
    TooLarge(PathBuf),
    /// Its file name extension belongs to no supported media type.
    #[error("the name of the logo {0} (SIGNET_LOGO) must end with .svg, .png, .webp or .jpg")]
    UnknownKind(PathBuf),
}

/// The placeholder for a missing logo.
#[derive(Template)]
#[template(path = "icon.svg")]
pub(super) struct Icon<'a> {
    pub(super) accent: Color,
    pub(super) on_accent: Color,
    pub(super) initial: &'a str,
}

/// The branding of all pages.
pub struct Branding {
    /// The name of the service.
    pub(super) name: String,
    logo: Option<Logo>,
    /// The style sheet, scripts and images of the pages, by name.
    pub(super) assets: Vec<(&'static str, Document)>,
    /// The descriptions of resource servers' scopes.
    pub(super) scopes: ScopeDescriptions,
}

impl Branding {
    /// Reads the logo and renders the style sheet.
    ///
    /// # Errors
    /// If the logo cannot be used.
    pub fn new(settings: &PageSettings) -> Result<Self, LogoError> {
        let style = format!("{}{STYLE}", accent_rule(settings.accent_color)).into_bytes();
        let style = Document::public("text/css; charset=utf-8", style, MAX_AGE);
        let script =
            |text: &str| Document::public("text/javascript; charset=utf-8", text.into(), MAX_AGE);
        let mut assets = vec![
            ("style.css", style),
            ("icon.svg", icon(settings)),
            ("page.js", script(include_str!("../templates/page.js"))),
            // Used only by the page of a `form_post` response.
            ("submit.js", script(include_str!("../templates/submit.js"))),
        ];
        if let Some(Logo::File(path)) = &settings.logo {
            assets.push((LOGO, read_logo(path)?));
        }
        Ok(Self {
            name: settings.service_name.clone(),
            logo: settings.logo.clone(),
            assets,
            scopes: settings.scope_descriptions.clone(),
        })
    }

    /// The `src` of the logo; empty if there is none. `root` is the relative path from the page to
    /// the root of the pages.
    pub(super) fn logo(&self, root: &str) -> String {
        match &self.logo {
            Some(Logo::File(_)) => format!("{root}assets/{LOGO}"),
            Some(Logo::Url(url)) => url.clone(),
            None => String::new(),
        }
    }

    /// The only allowed image source (CSP 3 §2.3.1).
    pub(super) fn image_source(&self) -> &str {
        match &self.logo {
            Some(Logo::Url(url)) => url,
            Some(Logo::File(_)) | None => "'self'",
        }
    }

    /// The text of the placeholder for a missing logo.
    pub(super) fn initial(&self) -> String {
        initial(&self.name)
    }
}

fn initial(name: &str) -> String {
    name.chars().next().map(|first| first.to_uppercase().collect()).unwrap_or_default()
}

fn icon(settings: &PageSettings) -> Document {
    let (accent, initial) = (settings.accent_color, initial(&settings.service_name));
    let icon = Icon { accent, on_accent: text_color_on(accent), initial: &initial };
    let svg = icon.render().unwrap_or_default().into_bytes();
    let icon = Document::public("image/svg+xml", svg, MAX_AGE);
    icon.with_header(poem::http::header::CONTENT_SECURITY_POLICY, LOGO_POLICY)
}

/// The colour of text on the accent colour.
fn text_color_on(accent: Color) -> Color {
    if accent.contrast(WHITE) >= accent.contrast(BLACK) { WHITE } else { BLACK }
}

fn read_logo(path: &Path) -> Result<Document, LogoError> {
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
    let content_type = match extension.to_ascii_lowercase().as_str() {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "jpg" | "jpeg" => "image/jpeg",
        _ => return Err(LogoError::UnknownKind(path.to_owned())),
    };
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| LogoError::Unreadable(path.to_owned(), error))?;
    if bytes.len() > MAX_LOGO {
        return Err(LogoError::TooLarge(path.to_owned()));
    }
    let logo = Document::public(content_type, bytes, MAX_AGE);
    Ok(logo.with_header(poem::http::header::CONTENT_SECURITY_POLICY, LOGO_POLICY))
}

/// The CSS variables for the accent colour, for text on it, and for the outline of buttons. The
/// outline has a colour of its own if the contrast of the accent colour to the panel is too low.
fn accent_rule(accent: Color) -> String {
    let on_accent = text_color_on(accent);
    let outlines = PANEL_BACKGROUNDS.map(|(time, background)| {
        let is_visible = accent.contrast(background) >= MIN_OUTLINE_CONTRAST;
        format!(
            "--outline-by-{time}: {};",
            if is_visible { "var(--accent)" } else { "var(--edge)" }
        )
    });
    let outlines = outlines.join(" ");
    format!(":root {{ --accent: {accent}; --on-accent: {on_accent}; {outlines} }}\n\n")
}
