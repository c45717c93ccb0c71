//! `/delete-account`: deletes the account of a logged-in user who knows its password.
//!
//! The form contains the account id, encrypted for the cookie of the browser. If the form is
//! submitted again after the deletion, the page finds by this id that the account is deleted. So
//! the browser keeps its cookie, although the session of the cookie has ended.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account;
use crate::domain::oauth::browser_session::Browser;
use crate::domain::password::Password;
use crate::domain::reauthentication::{self as domain, ReauthenticationError};
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login::redirect_to_login;
use crate::http::pages::message::{self, MessagePage};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::reauthentication;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts::{self, Deletion, Texts};

/// Where a successful deletion redirects.
const DELETED: &str = "delete-account?done=deletion";

/// `/delete-account`.
#[derive(Template)]
#[template(path = "deletion.html")]
struct DeletionPage<'a> {
    texts: &'static Deletion,
    csrf: &'a str,
    account: &'a str,
    email: &'a str,
    problem: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    match &call.visitor.browser {
        Some(browser) if call.is_post() => delete(&call, browser).await,
        Some(browser) => Ok(show(&call, browser, "", StatusCode::OK)),
        None if call.has_completed("deletion") => Ok(deleted()),
        None if call.is_post() && is_already_deleted(&call).await? => Ok(redirect_to_deleted()),
        None => Ok(redirect_to_login("delete-account")),
    }
}

fn show(call: &PageRequest, browser: &Browser, problem: &str, status: StatusCode) -> Response {
    let (csrf, email) = (&call.visitor.csrf(), &browser.account.email_claims().email);
    let texts = &texts::current().deletion;
    match reauthentication::seal_account(call, browser) {
        Ok(account) => Page::of_form(texts.title, !problem.is_empty())
            .answer(status, &DeletionPage { texts, csrf, account: &account, email, problem }),
        Err(error) => message::failed(error),
    }
}

/// Whether the account that the form was shown for is deleted.
async fn is_already_deleted(call: &PageRequest) -> Result<bool, Response> {
    let Some(id) = reauthentication::account_of_form(call) else { return Ok(false) };
    account::is_deleted(&call.app.db, id).await.map_err(message::failed)
}

async fn delete(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let limited = |text: &str| show(call, browser, text, StatusCode::TOO_MANY_REQUESTS);
    let wrong = texts::current().common.wrong_password;
    let again = || show(call, browser, wrong, StatusCode::BAD_REQUEST);
    let Ok(password) = Password::parse(call.params.get("password").unwrap_or_default()) else {
        return Err(again());
    };
    let confirmation = reauthentication::admit(call, browser, password, &origin, limited).await?;
    match domain::delete_account(&app.db, &app.hasher, confirmation, now).await {
        Ok(()) => Ok(redirect_to_deleted()),
        // The form was submitted twice, and the other request was faster.
        Err(ReauthenticationError::NotLoggedIn) if is_already_deleted(call).await? => {
            Ok(redirect_to_deleted())
        }
        Err(error) => Err(reauthentication::failure(call, &error).unwrap_or_else(again)),
    }
}

/// Redirects to the page after a deletion. The URL keeps the language of the account, because the
/// browser is no longer logged in to the account.
fn redirect_to_deleted() -> Response {
    see_other(&request_language::keep_in(DELETED))
}

fn deleted() -> Response {
    let Texts { deletion: texts, common, .. } = texts::current();
    let sign_up = request_language::keep_in("signup");
    let link = Some((sign_up.as_str(), common.sign_up));
    MessagePage::new(texts.done, texts.nobody, link).answer(StatusCode::OK)
}
