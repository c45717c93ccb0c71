//! `/logout`: the confirmation form, and the page after a logout.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::logout;
use crate::domain::oauth::params::Params;
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::logout_request::{forwarded_parameters, redirect_after_logout, validate};
use crate::http::pages::message::{self, MessagePage};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::visitor::Visitor;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// The confirmation form for a logout.
#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    /// The relative path from the page to the root of the pages; may be empty.
    root: &'a str,
    email: &'a str,
    /// The parameters of the client's logout request, which the form repeats.
    fields: Vec<(&'a str, &'a str)>,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    if !call.is_post() {
        let page = match &call.visitor.browser {
            Some(_) => confirmation_page(&call.visitor, &Params::default(), None, ""),
            None => logged_out_page(),
        };
        return Ok(page);
    }
    let logout_request = validate(&call.app, &call.params).await?;
    if let Some(browser) = &call.visitor.browser {
        if !call.is_current {
            let destination = logout_request.destination.as_deref();
            let mut again = confirmation_page(&call.visitor, &call.params, destination, "");
            again.set_status(StatusCode::BAD_REQUEST);
            return Err(again);
        }
        let origin = origin::of(&call.request);
        logout::log_out(&call.app.db, browser, &origin).await.map_err(message::failed)?;
    }
    let redirect = redirect_after_logout("", logout_request.destination.as_deref());
    // Browsers send a cross-site form without the cookie. The response to such a form must not
    // remove the cookie.
    Ok(if call.visitor.is_new() { redirect } else { call.app.cookie.remove(redirect) })
}

/// The confirmation form for a client's logout request.
pub(in crate::http) fn confirmation(
    visitor: &Visitor,
    params: &Params,
    destination: Option<&str>,
) -> Response {
    confirmation_page(visitor, params, destination, "../")
}

fn confirmation_page(
    visitor: &Visitor,
    params: &Params,
    destination: Option<&str>,
    root: &str,
) -> Response {
    let email = visitor.browser.as_ref().map(|it| it.account.email_claims().email);
    let texts = texts::current();
    let page = LogoutPage {
        texts,
        csrf: &visitor.csrf(),
        root,
        email: &email.unwrap_or_default(),
        fields: forwarded_parameters(params).collect(),
    };
    let destinations: Vec<_> = destination.into_iter().collect();
    Page::titled(texts.logout.title).towards(&destinations).answer(StatusCode::OK, &page)
}

fn logged_out_page() -> Response {
    let Texts { logout: texts, common, .. } = texts::current();
    let login = request_language::keep_in("login");
    let link = Some((login.as_str(), common.log_in));
    MessagePage::new(texts.done, texts.nobody, link).answer(StatusCode::OK)
}
