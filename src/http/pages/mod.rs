//! The hosted pages: plain HTML forms that work without JavaScript.
//!
//! The response to a submitted form is a redirect (303), a page that posts the authorization
//! response to the client (`form_post`), a message, or the form again with its errors. A form that
//! only opens a page gets this page. The pages between a client's authorization request and the
//! response contain the pending request (`pending_request`), which works only in the browser in
//! which it began.

mod account;
mod account_deletion;
pub(in crate::http) mod authorization_flow;
pub(in crate::http) mod authorization_response;
mod consent;
mod consent_text;
mod data_download;
mod email_change;
mod forgotten_password;
pub(in crate::http) mod layout;
mod login;
mod login_form;
pub(in crate::http) mod logout;
pub(in crate::http) mod logout_request;
pub(in crate::http) mod message;
mod new_login;
mod page_request;
mod password_change;
mod password_hint;
mod password_reset;
pub(in crate::http) mod pending_request;
mod profile;
mod profile_fields;
mod reauthentication;
mod signup;
mod signup_form;
pub(in crate::http) mod signup_refused;
mod verify_email;
mod verify_email_link;
pub(in crate::http) mod visitor;

use std::sync::Arc;

use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{Request, Response, Route, get};
use serde_json::json;

use crate::http::app::App;
use crate::http::body_limit::BodyLimit;
use crate::http::endpoint::{Operation, wants_html_page};
use crate::http::redirect::see_other;

/// The operations of the pages.
pub(in crate::http) fn operations() -> Vec<Operation> {
    const LARGE: BodyLimit = BodyLimit::SEALED_REQUEST;
    const DEFAULT: BodyLimit = BodyLimit::DEFAULT;
    vec![
        page("/login", "loginPage", LARGE, login::answer),
        page("/signup", "signupPage", LARGE, signup::answer),
        page("/consent", "consentPage", DEFAULT, consent::answer),
        page("/logout", "logoutPage", DEFAULT, logout::answer),
        page("/account", "accountPage", DEFAULT, account::answer),
        page("/edit-profile", "profilePage", BodyLimit::PROFILE_FORM, profile::answer),
        page("/change-password", "passwordPage", DEFAULT, password_change::answer),
        page("/forgot-password", "forgottenPasswordPage", DEFAULT, forgotten_password::answer),
        page("/reset-password", "passwordResetPage", DEFAULT, password_reset::answer),
        page("/download-data", "dataDownloadPage", DEFAULT, data_download::answer),
        page("/change-email", "emailPage", DEFAULT, email_change::answer),
        page("/verify-email", "emailVerificationPage", LARGE, verify_email::answer),
        page("/delete-account", "deletionPage", DEFAULT, account_deletion::answer),
    ]
}

/// A page with a form. Both results of the handler are responses: it returns `Err` to return early.
fn page<A: Future<Output = Result<Response, Response>> + Send + 'static>(
    path: &'static str,
    name: &'static str,
    limit: BodyLimit,
    handler: impl Fn(Request) -> A + Send + Sync + 'static,
) -> Operation {
    let answer = move |request| {
        let answered = Box::pin(handler(request));
        async move { answered.await.unwrap_or_else(|page| page) }
    };
    Operation::new(path, "GET, HEAD, POST", name, limit, message::error, answer)
}

/// The response at the root path. Browsers are redirected to the account page. Other programs get
/// the URLs of the documents.
fn root(request: &Request, documents: &str) -> Response {
    let mut response = if wants_html_page(request) {
        see_other("account")
    } else {
        Response::builder().content_type("application/json").body(documents.to_owned())
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn documents(issuer: &str) -> String {
    let documents = json!({
        "issuer": issuer,
        "openid_configuration": format!("{issuer}/.well-known/openid-configuration"),
        "documentation": format!("{issuer}/docs"),
    });
    documents.to_string()
}

/// Adds routes for the assets, and routes that redirect to pages.
pub(in crate::http) fn add_assets_and_redirects(routes: Route, app: &Arc<App>) -> Route {
    // Redirects for the root, and for paths with a trailing slash.
    let documents = documents(&app.issuer_url);
    let routes = routes.at("/", get(make_sync(move |request| root(&request, &documents))));
    let pages = operations().into_iter().fold(routes, |routes, page| {
        let target = format!("..{}", page.path);
        routes.at(format!("{}/", page.path), get(make_sync(move |_| see_other(&target))))
    });
    let pages = pages.at("/account/email", get(make_sync(|_| see_other("../change-email"))));
    // "A Well-Known URL for Changing Passwords" (W3C): where password managers send users.
    let well_known = get(make_sync(|_| see_other("../change-password")));
    let pages = pages.at("/.well-known/change-password", well_known);
    // Links are relative, since a proxy may serve the issuer below a path. Pages below `/oauth2`
    // therefore request their assets below `/oauth2`.
    ["", "/oauth2"].iter().fold(pages, |pages, prefix| {
        app.branding.assets.iter().fold(pages, |pages, (name, asset)| {
            pages.at(format!("{prefix}/assets/{name}"), asset.clone().served())
        })
    })
}
