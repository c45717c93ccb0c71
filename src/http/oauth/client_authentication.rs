//! Reads the client authentication of a request: exactly one method (RFC 6749 §2.3).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::Request;
use poem::http::header;
use url::form_urlencoded;

use crate::domain::audit::Origin;
use crate::domain::oauth::client::Client;
use crate::domain::oauth::client_authentication::{
    self, AuthMethod, ClientAuthenticationError, ClientCredentials,
};
use crate::domain::oauth::params::Params;
use crate::http::app::App;
use crate::http::audited_failures;
use crate::http::oauth::error::OAuthError;
use crate::http::rate_limit::{ClientEndpoint, FreeFailure};
use crate::timestamp::Timestamp;

/// The only assertion type that RFC 7523 §2.2 defines.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Authenticates the client of a request and applies the rate limits.
///
/// Failures with a secret or an assertion, and requests without credentials, are limited per client
/// address. Requests with valid credentials are limited per registered client, because several
/// clients may share a client address.
pub(super) async fn authenticate(
    app: &App,
    endpoint: ClientEndpoint,
    request: &Request,
    params: &Params,
    origin: &Origin,
    now: Timestamp,
) -> Result<Arc<Client>, OAuthError> {
    let credentials = read(request, params);
    if matches!(credentials, Err(_) | Ok(ClientCredentials::None { .. })) {
        app.limits.admit_unauthenticated(origin)?;
    }
    // The log line contains the `error_description` of the response.
    let credentials = credentials.inspect_err(|error| {
        tracing::info!("a client was refused: {}", error.description());
    })?;
    let issuer = app.issuer_url.as_str();
    let token_endpoint = format!("{issuer}/oauth2/token");
    let audiences = [issuer, token_endpoint.as_str()];
    let window = app.tokens.refresh_retry_window();
    let (db, clients) = (&app.db, &app.clients);
    match client_authentication::authenticate(db, clients, &credentials, &audiences, window, now)
        .await
    {
        // The client may be guessing: it gets no details, and its failures are limited.
        Err(ClientAuthenticationError::Refused { client_id, reason }) => {
            app.limits.admit_failed_authentication(origin)?;
            let failure = FreeFailure::ClientAuthentication;
            let event = failure.event().reason(reason);
            let event = match client_id {
                Some(id) => event.client(&id),
                None => event,
            };
            audited_failures::record(app, failure, event, origin).await;
            Err(OAuthError::invalid_client())
        }
        result => {
            let client = result?;
            if client.is_confidential() {
                app.limits.admit_client(endpoint, &client.id)?;
            }
            Ok(client)
        }
    }
}

fn read(request: &Request, params: &Params) -> Result<ClientCredentials, OAuthError> {
    let basic = basic(request)?;
    let client_id = params.get("client_id").map(str::to_owned);
    let secret = params.get("client_secret").map(str::to_owned);
    let assertion = params.get("client_assertion").map(str::to_owned);
    if [basic.is_some(), secret.is_some(), assertion.is_some()].iter().filter(|it| **it).count() > 1
    {
        return Err(OAuthError::invalid_request("more than one client authentication method"));
    }
    if let Some((basic_id, secret)) = basic {
        if client_id.is_some_and(|other| other != basic_id) {
            return Err(OAuthError::invalid_request("the request names two clients"));
        }
        let method = AuthMethod::ClientSecretBasic;
        return Ok(ClientCredentials::Secret { method, client_id: basic_id, secret });
    }
    if let Some(assertion) = assertion {
        if params.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(OAuthError::invalid_request("client_assertion_type is not supported"));
        }
        return Ok(ClientCredentials::Assertion { assertion, client_id });
    }
    match (client_id, secret) {
        (Some(client_id), Some(secret)) => {
            let method = AuthMethod::ClientSecretPost;
            Ok(ClientCredentials::Secret { method, client_id, secret })
        }
        (Some(client_id), None) => Ok(ClientCredentials::None { client_id }),
        (None, _) => Err(OAuthError::unreadable_client(
            "the request has neither Authorization nor client_id",
        )),
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded before base64, so that an id may contain a colon.
fn basic(request: &Request) -> Result<Option<(String, String)>, OAuthError> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(OAuthError::invalid_request("Authorization is given more than once"));
    }
    let (scheme, credentials) = field.to_str().ok().and_then(|it| it.split_once(' ')).unzip();
    if !scheme.is_some_and(|scheme: &str| scheme.eq_ignore_ascii_case("basic")) {
        return Err(OAuthError::unreadable_client(
            "Authorization has another scheme than Basic; a public client sends client_id in the body",
        ));
    }
    let decoded = credentials.and_then(|credentials: &str| {
        let bytes = STANDARD.decode(credentials.trim()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((form_decoded(id)?, form_decoded(secret)?))
    });
    decoded.map(Some).ok_or_else(|| {
        OAuthError::unreadable_client(
            "Authorization is not Basic with the base64 of client_id, a colon and the secret",
        )
    })
}

fn form_decoded(text: &str) -> Option<String> {
    // Without `=` and `&`, the text is one name without a value.
    let escaped = text.replace('=', "%3D").replace('&', "%26");
    let (decoded, _) = form_urlencoded::parse(escaped.as_bytes()).next()?;
    let is_text = !decoded.contains([char::REPLACEMENT_CHARACTER, '\0']);
    is_text.then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use poem::Request;

    use super::*;

    fn read_as(field: &str) -> Result<Option<(String, String)>, OAuthError> {
        basic(&Request::builder().header(header::AUTHORIZATION, field).finish())
    }

    /// A Basic header whose id and secret are form-encoded, as RFC 6749 requires.
    fn encoded(id: &str, secret: &str) -> String {
        let form_encoded =
            |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", form_encoded(id), form_encoded(secret)))
        )
    }

    /// MUST-099. Secrets that Signet issues need no encoding, so black-box tests cannot cover this.
    #[test]
    fn both_parts_of_basic_credentials_are_form_decoded() {
        for (id, secret) in [
            ("web", "sgs_plain-and_simple"),
            ("job:nightly/1", "100% of a+b c"),
            ("a=b&c", "=&;?#%25"),
            ("z\u{17c}\u{1f600}", "\u{17c}\u{f3}\u{142}\u{107}"),
            ("colon", "a:b::c"),
        ] {
            let read = read_as(&encoded(id, secret)).unwrap();
            assert_eq!(read, Some((id.to_owned(), secret.to_owned())));
        }
        // For a secret without special characters, a client that does not encode sends the same
        // text.
        let plain = format!("basic {}", STANDARD.encode("web:sgs_A-z_09"));
        assert_eq!(read_as(&plain).unwrap(), Some(("web".to_owned(), "sgs_A-z_09".to_owned())));
        // The first colon separates the id from the secret.
        let colons = format!("Basic {}", STANDARD.encode("web:a:b"));
        assert_eq!(read_as(&colons).unwrap().unwrap().1, "a:b");
    }

    #[test]
    fn invalid_basic_credentials_are_rejected() {
        let binary = format!("Basic {}", STANDARD.encode(b"web:\xff"));
        let escaped = format!("Basic {}", STANDARD.encode("web:%ff"));
        let without_colon = format!("Basic {}", STANDARD.encode("web"));
        for field in ["Basic", "Basic !!!", "Bearer eA", &binary, &escaped, &without_colon] {
            assert!(read_as(field).is_err(), "{field}");
        }
    }
}
