//! Validation of authorization requests (RFC 6749 §4.1.1, OpenID Connect Core 1.0 §3.1.2.1). The
//! client and its redirect URI are checked first, because an error in any other part of the request
//! is sent to the redirect URI.

use uuid::Uuid;

use crate::domain::language::Language;
use crate::domain::oauth::audience;
use crate::domain::oauth::authorization_request::{
    AuthorizationRequest, ErrorCode, Reason, Refusal, ReturnAddress, invalid,
};
use crate::domain::oauth::claims;
use crate::domain::oauth::client::entitlement;
use crate::domain::oauth::id_token;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pkce;
use crate::domain::oauth::request_object::RequestObject;
use crate::domain::sign_up_policy::SignUpPolicy;
use crate::domain::token::Issuer;
use crate::entity::client::Model as Client;
use crate::scope::Scope;

/// Maximum length of `state` and `nonce`, in bytes.
const MAX_ECHO: usize = 4096;

/// Maximum length of `login_hint`, in bytes. It suffices for an email address with a display name.
const MAX_HINT: usize = 320;

/// The values of `prompt` (OpenID Connect Core 1.0 §3.1.2.1, Initiating User Registration 1.0).
const PROMPTS: [&str; 5] = ["none", "login", "consent", "select_account", CREATE];

/// The value of `prompt` that opens the sign-up page.
pub const CREATE: &str = "create";

/// The values of `prompt` that are supported. A provider where nobody can sign up does not support
/// `create`, so it refuses this value (Initiating User Registration 1.0 §4).
#[must_use]
pub fn supported_prompts(policy: &SignUpPolicy) -> Vec<&'static str> {
    PROMPTS.into_iter().filter(|it| *it != CREATE || !policy.is_closed()).collect()
}

/// The redirect URI of a request, if it is registered for the client. Nothing may be sent to a URI
/// that is not registered, not even an error (RFC 6749 §4.1.2.1).
#[must_use]
pub fn redirect_uri<'p>(client: &Client, params: &'p Params) -> Option<&'p str> {
    let presented = params.get("redirect_uri")?;
    entitlement::has_redirect_uri(client, presented).then_some(presented)
}

/// Validates a request, except for its client and redirect URI.
///
/// # Errors
/// The error of the first check that fails.
pub fn check(
    client: &Client,
    redirect_uri: &str,
    params: &Params,
    issuer: &Issuer,
    policy: &SignUpPolicy,
) -> Result<AuthorizationRequest, Refusal> {
    let object = RequestObject::of(params);
    let is_valid = |state: &&str| can_be_echoed(state) && state.len() <= MAX_ECHO;
    let state = params.get("state").filter(|state| can_be_echoed(state));
    let mode = params.get("response_mode").or_else(|| object.get("response_mode"));
    let to = ReturnAddress {
        redirect_uri: redirect_uri.to_owned(),
        state: state.or_else(|| object.get("state").filter(is_valid)).map(str::to_owned),
        by_form_post: mode == Some("form_post"),
    };
    check_all(client, &to, params, issuer, policy).map_err(|reason| Refusal { to, reason })
}

/// Checks a request. The first check that fails determines the error.
fn check_all(
    client: &Client,
    to: &ReturnAddress,
    params: &Params,
    issuer: &Issuer,
    policy: &SignUpPolicy,
) -> Result<AuthorizationRequest, Reason> {
    check_parameters(params)?;
    check_response_type(params)?;
    check_state_and_nonce(params)?;
    check_client(client, issuer)?;
    let code_challenge = code_challenge(client, params)?;
    let prompt = prompt(params, policy)?;
    let max_age = max_age(params)?;
    let requested = params.get("claims").map(claims::read).transpose()?.unwrap_or_default();
    let hinted = hinted_subject(client, params, issuer)?;
    let subject = claims::required_subject(requested.subject, hinted)?;
    let scope = scope(client, params)?;
    let audience = audience::chosen(client, params.all("resource"), issuer.iss());
    let audience = audience.ok_or((ErrorCode::INVALID_TARGET, "the resource is not available"))?;
    let claims = entitlement::claims(client, &scope, Some(&requested.claims));
    Ok(AuthorizationRequest {
        client_id: client.id.clone(),
        to: to.clone(),
        scope,
        audience,
        nonce: params.get("nonce").map(str::to_owned),
        code_challenge,
        prompt,
        max_age,
        login_hint: login_hint(params).map(str::to_owned),
        subject,
        claims,
        ui_locale: ui_locale(params).map(|language| language.tag().to_owned()),
    })
}

fn check_parameters(params: &Params) -> Result<(), Reason> {
    if params.repeats_any() {
        return Err(invalid("a parameter is given more than once"));
    }
    for (name, code) in [
        ("request", ErrorCode::REQUEST_NOT_SUPPORTED),
        ("request_uri", ErrorCode::REQUEST_URI_NOT_SUPPORTED),
        ("registration", ErrorCode::REGISTRATION_NOT_SUPPORTED),
    ] {
        if params.get(name).is_some() {
            return Err((code, "parameters are read from the request itself only"));
        }
    }
    Ok(())
}

fn check_response_type(params: &Params) -> Result<(), Reason> {
    match params.get("response_type") {
        Some("code") => {}
        None => return Err(invalid("response_type is missing")),
        Some(_) => {
            return Err((ErrorCode::UNSUPPORTED_RESPONSE_TYPE, "response_type must be code"));
        }
    }
    if !matches!(params.get("response_mode"), None | Some("query" | "form_post")) {
        return Err(invalid("response_mode must be query or form_post"));
    }
    Ok(())
}

fn check_state_and_nonce(params: &Params) -> Result<(), Reason> {
    let mut echoed = ["state", "nonce"].into_iter().filter_map(|name| params.get(name));
    if echoed.clone().any(|value| value.len() > MAX_ECHO) {
        return Err(invalid("state and nonce must be at most 4096 bytes each"));
    }
    if !echoed.all(can_be_echoed) {
        return Err(invalid("state and nonce must not contain control characters"));
    }
    Ok(())
}

fn check_client(client: &Client, issuer: &Issuer) -> Result<(), Reason> {
    // ID tokens of this client would have the same audience as access tokens of the JSON API
    // (RFC 9068 §5).
    if issuer.is_audience(&client.id) {
        return Err((ErrorCode::UNAUTHORIZED_CLIENT, "the client's id is an audience here"));
    }
    if !client.grants.has("authorization_code") {
        return Err((ErrorCode::UNAUTHORIZED_CLIENT, "the client may not use this flow"));
    }
    Ok(())
}

/// Whether a text can be returned unchanged in a query and in a form post. RFC 6749 appendix A.5
/// allows only printable ASCII. Other letters are accepted, because they do no harm. Control
/// characters are refused, because browsers normalize line breaks when they post a form.
fn can_be_echoed(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// The code challenge. Its method must be `S256`, because a challenge without a method would mean
/// `plain` (RFC 7636 §4.3).
fn code_challenge(client: &Client, params: &Params) -> Result<Option<String>, Reason> {
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (None, None) if may_omit_challenge(client, params) => Ok(None),
        (None, _) => Err(invalid(missing_challenge(client))),
        (Some(challenge), Some("S256")) if pkce::is_challenge(challenge) => {
            Ok(Some(challenge.to_owned()))
        }
        (Some(_), Some("S256")) => Err(invalid("code_challenge is not 32 bytes in base64url")),
        (Some(_), _) => Err(invalid("code_challenge_method must be S256")),
    }
}

/// OAuth 2.1 §7.5.1: a confidential client that checks the nonce of its ID token is also protected
/// from code injection. Without `openid` there is no ID token to check.
fn may_omit_challenge(client: &Client, params: &Params) -> bool {
    let has_nonce = || {
        params.get("nonce").is_some_and(|nonce| !nonce.is_empty())
            && scope(client, params).is_ok_and(|scope| scope.has("openid"))
    };
    let is_exempt = !client.pkce_required || (client.nonce_for_pkce && has_nonce());
    client.is_confidential() && is_exempt
}

/// The description of the error. It also says how to exempt a client that cannot use PKCE.
fn missing_challenge(client: &Client) -> &'static str {
    match (client.is_confidential(), client.nonce_for_pkce) {
        (false, _) => "code_challenge is missing: a public client must use PKCE",
        (true, true) => {
            "code_challenge is missing, and so is a nonce with the scope openid: turn on PKCE, or the \
             nonce, in the client; if it has neither: signet client update CLIENT --pkce optional"
        }
        (true, false) => {
            "code_challenge is missing: turn on PKCE in the client; if it has none: signet client update \
             CLIENT --pkce required-or-nonce"
        }
    }
}

fn prompt(params: &Params, policy: &SignUpPolicy) -> Result<Vec<String>, Reason> {
    let prompt = params.get("prompt").unwrap_or_default();
    let prompt: Vec<_> = prompt.split(' ').filter(|it| !it.is_empty()).map(str::to_owned).collect();
    if prompt.iter().any(|value| !PROMPTS.contains(&value.as_str())) {
        return Err(invalid(
            "prompt must be none, or some of login, consent, select_account and create",
        ));
    }
    if prompt.len() > PROMPTS.len() {
        return Err(invalid("prompt has a duplicate value"));
    }
    if prompt.len() > 1 && prompt.iter().any(|value| value == "none") {
        return Err(invalid("prompt none cannot be combined with other values"));
    }
    if prompt.len() > 1 && prompt.iter().any(|value| value == CREATE) {
        return Err(invalid("prompt create cannot be combined with other values"));
    }
    if policy.is_closed() && prompt.iter().any(|value| value == CREATE) {
        return Err(invalid("prompt create is not supported, because sign-up is closed"));
    }
    Ok(prompt)
}

/// The email address of the expected user. An invalid value is ignored, because the parameter is
/// only a hint (OpenID Connect Core 1.0 §3.1.2.1).
fn login_hint(params: &Params) -> Option<&str> {
    let is_valid = |hint: &&str| hint.len() <= MAX_HINT && !hint.contains(char::is_control);
    params.get("login_hint").filter(is_valid)
}

/// The language of the pages. Unsupported languages are ignored, because the parameter is only a
/// preference (OpenID Connect Core 1.0 §3.1.2.1).
fn ui_locale(params: &Params) -> Option<Language> {
    params.get("ui_locales").and_then(Language::of_ui_locales)
}

fn max_age(params: &Params) -> Result<Option<u64>, Reason> {
    let seconds = params.get("max_age").map(str::parse).transpose();
    seconds.map_err(|_| invalid("max_age is not a number of seconds"))
}

fn hinted_subject(
    client: &Client,
    params: &Params,
    issuer: &Issuer,
) -> Result<Option<Uuid>, Reason> {
    let Some(token) = params.get("id_token_hint") else { return Ok(None) };
    let hint = id_token::read_hint(issuer, token).filter(|hint| hint.client_id == client.id);
    let hint = hint.ok_or_else(|| invalid("id_token_hint is not an ID token of this client"))?;
    Ok(Some(hint.account_id))
}

/// The requested scope, limited to the scope that the client is registered for. Unknown values are
/// ignored (OpenID Connect Core 1.0 §3.1.2.1). A request without `scope` gets the whole scope of
/// the client except `offline_access`.
fn scope(client: &Client, params: &Params) -> Result<Scope, Reason> {
    let requested = match params.get("scope") {
        Some(text) => Scope::parse(text)
            .ok_or((ErrorCode::INVALID_SCOPE, "scope is not a list of scope values"))?,
        None => client.scope().without(&["offline_access"]),
    };
    let granted = entitlement::scope(client, &requested);
    if granted.is_empty() {
        return Err((ErrorCode::INVALID_SCOPE, "the client is not registered for this scope"));
    }
    Ok(granted)
}
