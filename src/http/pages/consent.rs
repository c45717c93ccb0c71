//! `/consent`: asks the user to allow a client's request.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::claims;
use crate::domain::oauth::flow::Decision;
use crate::domain::oauth::pending_authorization::StoredIn;
use crate::http::pages::authorization_flow::continue_flow;
use crate::http::pages::consent_text::Permission;
use crate::http::pages::layout::{Page, host_for_display};
use crate::http::pages::message::stale;
use crate::http::pages::page_request::PageRequest;
use crate::http::texts::{self, Texts};

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    flow: &'a str,
    client_name: &'a str,
    email: &'a str,
    /// The destination of the response, for display.
    returns_to: &'a str,
    /// The requested access, in words.
    requested: Permission,
    /// The names of the claims in `requested` that the client requests individually,
    /// space-separated.
    claims: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let stale = || stale(&call.visitor);
    let mut pending_request = call.pending_request().await?.ok_or_else(stale)?;
    // A sealed request still waits for a login, so the user cannot decide on it yet.
    if pending_request.pending.stored_in == StoredIn::SealedForm {
        return Err(stale());
    }
    let Some(browser) = &call.visitor.browser else { return Ok(call.redirect_to_page("login")) };
    // If the form was shown before the last login in this browser, it is shown again, because it
    // may name another account.
    if call.is_post() && call.is_current {
        let decision = match call.params.get("decision") {
            Some("allow") => Decision::Allow,
            Some("deny") => Decision::Deny,
            _ => return Err(stale()),
        };
        // The decision covers only the individual claims that the page showed. There may be more
        // claims now: the client's registration may have been extended, or the page may be from an
        // instance of the previous version, which shows no individual claims.
        let names = call.params.get("claims").unwrap_or_default();
        let request = &mut pending_request.pending.request;
        request.claims = claims::shown(&request.claims, &request.scope, names);
        return Ok(continue_flow(&call, pending_request, &call.visitor, Some(decision)).await);
    }
    let request = &pending_request.pending.request;
    let names = claims::outside_scope(&request.scope, &request.claims);
    let texts = texts::current();
    let page = ConsentPage {
        texts,
        csrf: &call.visitor.csrf(),
        flow: &pending_request.flow,
        client_name: &pending_request.client.name,
        email: &browser.account.email_claims().email,
        returns_to: &host_for_display(&request.to.redirect_uri),
        requested: Permission::of(&call.app, &request.scope, &request.audience).and(&names),
        claims: &names.join(" "),
    };
    let status = if call.is_current { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(Page::titled(texts.consent.title)
        .towards(&pending_request.destinations())
        .answer(status, &page))
}
