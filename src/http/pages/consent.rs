//! `/consent`: asks the user to allow a client's request.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::claims;
use crate::domain::oauth::flow::Decision;
use crate::domain::oauth::pending_authorization::StoredIn;
use crate::http::pages::authorization_flow::continue_flow;
use crate::http::pages::consent_text::Permission;
use crate::http::pages::layout::{Page, in_words as place_in_words};
use crate::http::pages::message::stale;
use crate::http::pages::page_request::PageRequest;

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    csrf: &'a str,
    flow: &'a str,
    client_name: &'a str,
    email: &'a str,
    /// The destination of the response, for display.
    returns_to: &'a str,
    /// The requested access, in words.
    asked: Permission,
    /// The names of the individual claims among it, space-separated.
    claims: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let stale = || stale(&call.visitor);
    let mut waiting = call.waiting().await?.ok_or_else(stale)?;
    // A request that waits for a login is sealed, and cannot be decided yet.
    if waiting.pending.stored_in == StoredIn::SealedForm {
        return Err(stale());
    }
    let Some(browser) = &call.visitor.browser else { return Ok(call.redirect_to_page("login")) };
    // A form from before the last login in this browser is shown again: it may name another
    // account.
    if call.is_post() && call.is_current {
        let decision = match call.params.get("decision") {
            Some("allow") => Decision::Allow,
            Some("deny") => Decision::Deny,
            _ => return Err(stale()),
        };
        // Limited to the individual claims that the page showed, since the decision covers no
        // others. The client's registration may have been extended since, or the page may be from
        // an instance of the previous version, which shows none.
        let names = call.params.get("claims").unwrap_or_default();
        let request = &mut waiting.pending.request;
        request.claims = claims::shown(&request.claims, &request.scope, names);
        return Ok(continue_flow(&call, waiting, &call.visitor, Some(decision)).await);
    }
    let asked = &waiting.pending.request;
    let names = claims::beside(&asked.scope, &asked.claims);
    let page = ConsentPage {
        csrf: &call.visitor.csrf(),
        flow: &waiting.flow,
        client_name: &waiting.client.name,
        email: &browser.account.email_claims().email,
        returns_to: &place_in_words(&asked.to.redirect_uri),
        asked: Permission::of(&call.app, &asked.scope, &asked.audience).and(&names),
        claims: &names.join(" "),
    };
    let status = if call.is_current { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(Page::titled("Allow access").towards(&waiting.destinations()).answer(status, &page))
}
