//! `/download-data`: downloads the data of the account of a logged-in user who knows its password.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::oauth::browser_session::Browser;
use crate::domain::password::Password;
use crate::domain::reauthentication as domain;
use crate::domain::session::listing::SelfServiceError;
use crate::http::api::data_file;
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login::redirect_to_login;
use crate::http::pages::message::failed;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::reauthentication;
use crate::http::texts::{self, Texts};

/// `/download-data`.
#[derive(Template)]
#[template(path = "download.html")]
struct DownloadPage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    /// The address of the account, for password managers.
    email: &'a str,
    problem: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    match &call.visitor.browser {
        Some(browser) if call.is_post() => download(&call, browser).await,
        Some(browser) => Ok(show(&call, browser, "", StatusCode::OK)),
        None => Ok(redirect_to_login("download-data")),
    }
}

fn show(call: &PageRequest, browser: &Browser, problem: &str, status: StatusCode) -> Response {
    let (csrf, email) = (&call.visitor.csrf(), &browser.account.email_claims().email);
    let texts = texts::current();
    Page::of_form(texts.download.title, !problem.is_empty())
        .answer(status, &DownloadPage { texts, csrf, email, problem })
}

async fn download(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let limited = |text: &str| show(call, browser, text, StatusCode::TOO_MANY_REQUESTS);
    let wrong = texts::current().common.wrong_password;
    let again = || show(call, browser, wrong, StatusCode::BAD_REQUEST);
    let Ok(password) = Password::parse(call.params.get("password").unwrap_or_default()) else {
        return Err(again());
    };
    let confirmation = reauthentication::admit(call, browser, password, &origin, limited).await?;
    let login = confirmation.login;
    domain::admit_download(&app.db, &app.hasher, confirmation, now)
        .await
        .map_err(|error| reauthentication::failure(call, &error).unwrap_or_else(again))?;
    data_file(app, login).await.map_err(|error| match error {
        SelfServiceError::Database(error) => failed(error),
        SelfServiceError::NotLoggedIn | SelfServiceError::NotFound => {
            redirect_to_login("download-data")
        }
    })
}
