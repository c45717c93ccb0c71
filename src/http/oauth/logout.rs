//! `/oauth2/logout` (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A request with an ID token of the browser's login ends this login at once. Any other request of
//! a logged-in browser gets the confirmation page, so that an image on another site cannot log the
//! user out.

use std::sync::Arc;

use poem::http::Method;
use poem::{Request, Response};
use url::form_urlencoded;

use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::id_token::Hint;
use crate::domain::oauth::logout;
use crate::domain::oauth::params::Params;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::http::app::App;
use crate::http::endpoint::app_of;
use crate::http::form::{self, Unreadable};
use crate::http::oauth::prefetch;
use crate::http::origin;
use crate::http::pages::logout_request::{
    LogoutRequest, forwarded_parameters, redirect_after_logout, validate,
};
use crate::http::pages::visitor::Visitor;
use crate::http::pages::{logout as logout_page, message};
use crate::http::redirect::see_other;
use crate::http::request_language;

pub(super) async fn answer(mut request: Request) -> Result<Response, Response> {
    if let Some(rejected) = prefetch::rejected(&request) {
        return Err(rejected);
    }
    let app = app_of(&request).map_err(message::error)?;
    let admitted = app.limits.admit_change(&origin::of(&request));
    admitted.map_err(|refused| message::limited(&refused))?;
    let is_foreign_form = request.method() == Method::POST && !app.cookie.is_in(&request);
    let params = form::params(&mut request).await;
    let params = params.map_err(|Unreadable(why)| message::bad_request(why))?;
    request_language::choose_by_parameter(params.get("ui_locales"));
    if is_foreign_form && !params.repeats_any() {
        // Browsers omit our cookie from a cross-site form post, and send the cookie after a
        // redirect.
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(forwarded_parameters(&params)).finish();
        return Ok(see_other(&format!("../oauth2/logout?{query}")));
    }
    let logout_request = validate(&app, &params).await?;
    log_out(&app, &request, &params, logout_request).await
}

async fn log_out(
    app: &Arc<App>,
    request: &Request,
    params: &Params,
    LogoutRequest { hint, destination }: LogoutRequest,
) -> Result<Response, Response> {
    let visitor = Visitor::of(app, request).await.map_err(message::failed)?;
    let login = login_of_hint(app, &visitor, hint.as_ref()).await;
    let Some(browser) = login.map_err(message::failed)? else {
        if visitor.browser.is_none() {
            return Ok(redirect_after_logout("../", destination.as_deref()));
        }
        let page = logout_page::confirmation(&visitor, params, destination.as_deref());
        return Ok(visitor.set_cookie(app, page));
    };
    logout::log_out(&app.db, &browser, &origin::of(request)).await.map_err(message::failed)?;
    Ok(app.cookie.remove(redirect_after_logout("../", destination.as_deref())))
}

/// The login to end without confirmation: the browser's login, if `hint` is an ID token that was
/// issued in it. The idle timeout of the login may have passed, since the user may have worked in
/// the client in the meantime.
async fn login_of_hint(
    app: &Arc<App>,
    visitor: &Visitor,
    hint: Option<&Hint>,
) -> Result<Option<Browser>, FlowError> {
    let Some(hint) = hint else { return Ok(None) };
    let Some(browser) = visitor.last_login(app).await? else { return Ok(None) };
    let belongs = logout::belongs(&app.db, hint, &browser).await?;
    Ok(belongs.then_some(browser))
}
