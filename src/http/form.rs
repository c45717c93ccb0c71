//! Form-encoded parameters, parsed strictly: ambiguous input is rejected.

use bytes::Bytes;
use poem::Request;
use poem::http::{Method, header};
use url::form_urlencoded;

use crate::domain::oauth::params::Params;

/// Maximum number of parameters; no valid request has more.
const MAX_PARAMETERS: usize = 100;

/// Why the parameters of a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Unreadable(pub(in crate::http) &'static str);

/// The parameters of a request: those in the body of a POST, otherwise those in the query.
pub(in crate::http) async fn params(request: &mut Request) -> Result<Params, Unreadable> {
    if request.method() == Method::POST {
        return body(request).await;
    }
    decode(request.uri().query().unwrap_or_default())
}

/// The parameters of a body.
pub(in crate::http) async fn body(request: &mut Request) -> Result<Params, Unreadable> {
    let bytes = body_bytes(request).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Unreadable("the body is not UTF-8"))?;
    decode(text)
}

/// The form in the body, not decoded. The query must be empty.
pub(in crate::http) async fn body_bytes(request: &mut Request) -> Result<Bytes, Unreadable> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Unreadable("parameters must be in the body only"));
    }
    if !is_form(request) {
        return Err(Unreadable("the body must be application/x-www-form-urlencoded"));
    }
    let bytes = request.take_body().into_bytes().await;
    bytes.map_err(|_| Unreadable("the body cannot be read"))
}

pub(in crate::http) fn is_form(request: &Request) -> bool {
    let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Decodes `name=value` pairs. Invalid UTF-8 is rejected, because Signet could not send such a
/// value back unchanged, for example as `state`.
pub(in crate::http) fn decode(text: &str) -> Result<Params, Unreadable> {
    let mut pairs = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
        if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER)
        {
            return Err(Unreadable("a parameter is not UTF-8"));
        }
        // PostgreSQL cannot store U+0000, and no parameter needs it.
        if name.contains('\0') || value.contains('\0') {
            return Err(Unreadable("a parameter contains U+0000"));
        }
        if pairs.len() == MAX_PARAMETERS {
            return Err(Unreadable("there are more than 100 parameters"));
        }
        pairs.push((name, value));
    }
    Ok(Params::of(pairs))
}
