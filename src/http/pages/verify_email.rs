//! `/verify-email`: verifies the address of an account, or confirms a new address or a sign-up,
//! with the link or the code of a mail. Also sends another mail.
//!
//! A code works in the browser that requested the mail. This browser can also request another mail:
//! a hidden field contains the account id, encrypted for the cookie of the browser. The field
//! proves that the password of the account was entered in this browser.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};
use uuid::Uuid;

use crate::domain::attempt_limit::AttemptError;
use crate::domain::email_challenge::{self, Purpose};
use crate::domain::email_confirmation::{self as domain, ConfirmError, Confirmed};
use crate::domain::email_verification;
use crate::domain::oauth::pending_authorization::FlowError;
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login_form;
use crate::http::pages::message::{self, MessagePage, limited_on, unavailable};
use crate::http::pages::new_login::log_in_confirmed;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::verify_email_link::{self as link, done_page};
use crate::http::pages::visitor::Visitor;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts::{self, Texts};

/// The page with the field for the code.
#[derive(Template)]
#[template(path = "verify.html")]
struct CodePage<'a> {
    texts: &'static Texts,
    /// The value of `ui_locales` for the next page; may be empty.
    ui_locales: &'static str,
    visitor: &'a Visitor,
    pending_request: Option<&'a PendingRequest>,
    /// The relative path from the page to the root of the pages.
    root: &'a str,
    lead: &'a str,
    code: &'a str,
    /// The error of the last attempt; empty before the first.
    problem: &'a str,
    /// The id of the account to which another mail can be sent, encrypted for the browser. Empty if
    /// there is none.
    account: &'a str,
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    if !call.app.mail.is_on() {
        return Err(mail_is_off());
    }
    if call.params.get("token").is_some() {
        return link::answer(&call).await;
    }
    let pending_request = call.pending_request().await?;
    if call.is_post() {
        return match call.params.get("send") {
            Some(_) => send(&call, pending_request).await,
            None => verify(&call, pending_request).await,
        };
    }
    let texts = &texts::current().verification;
    let headings =
        [("verified", texts.done), ("changed", texts.changed), ("created", texts.created)];
    for (action, heading) in headings {
        if call.has_completed(action) {
            return Ok(done(&call, heading));
        }
    }
    let page = show(&call, None, "", StatusCode::OK).await?;
    Ok(call.visitor.set_cookie(&call.app, page))
}

/// The page after a sign-up that began no session.
pub(super) async fn after_sign_up(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
) -> Result<Response, Response> {
    match pending_request {
        // A sealed request is sent only in forms, so a redirect would lose it.
        Some(request) => show(call, Some(&request), "", StatusCode::OK).await,
        None => Ok(see_other(&request_language::keep_in("verify-email"))),
    }
}

/// The page after a login with the right password to an account whose address is not verified.
pub(super) fn after_refusal(
    call: &PageRequest,
    pending_request: Option<&PendingRequest>,
    account_id: Uuid,
) -> Response {
    match seal_account(call, account_id) {
        Ok(account) => {
            let lead = texts::current().verification.refused;
            render(call, pending_request, (lead, "", &account), StatusCode::FORBIDDEN)
        }
        Err(error) => message::failed(error),
    }
}

/// The page if this server sends no mail.
pub(super) fn mail_is_off() -> Response {
    let Texts { forgotten, verification: texts, common, .. } = texts::current();
    let link = Some(("account", common.your_account));
    let page = MessagePage::new(forgotten.mail_is_off, texts.contact_operator, link);
    page.answer(StatusCode::NOT_FOUND)
}

fn done(call: &PageRequest, heading: &str) -> Response {
    let Texts { verification: texts, common, .. } = texts::current();
    let login = request_language::keep_in("login");
    let link = match call.visitor.browser {
        Some(_) => ("account", common.your_account),
        None => (login.as_str(), common.log_in),
    };
    MessagePage::new(heading, texts.thanks, Some(link)).answer(StatusCode::OK)
}

/// Verifies the address with a code.
async fn verify(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    if let Err(error) = app.limits.admit_email_confirmation(&app.db, &origin).await {
        return Err(limited(call, pending_request.as_ref(), &error).await);
    }
    let code = call.params.get("code").unwrap_or_default();
    let proof = (call.visitor.cookie_digest(), code);
    let (db, tokens, key) = (&app.db, &app.email_tokens, app.limits.key());
    let by = (&app.mail, &origin, call.form_digest());
    match domain::confirm_by_code(db, tokens, key, proof, by, now).await {
        Ok(Confirmed::Account(id)) => log_in_confirmed(call, pending_request, id).await,
        Ok(confirmed) => Ok(confirmed_without_login(call, pending_request, confirmed)),
        Err(ConfirmError::Rejected) if call.is_repetition().await? => {
            Ok(confirmed_without_login(call, pending_request, Confirmed::Address))
        }
        Err(ConfirmError::Rejected | ConfirmError::WrongPassword) => {
            let (problem, status) = (texts::current().reset.wrong_code, StatusCode::BAD_REQUEST);
            Err(show(call, pending_request.as_ref(), problem, status).await?)
        }
        Err(cause @ (ConfirmError::Hashing(_) | ConfirmError::Database(_))) => {
            Err(unavailable(&cause))
        }
    }
}

/// The response to a confirmation that logs nobody in.
fn confirmed_without_login(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
    confirmed: Confirmed,
) -> Response {
    match pending_request {
        // The user still has to log in.
        Some(request) if call.visitor.browser.is_none() => {
            login_form::Form::of(&call.app, &call.visitor, Some(&request)).answer()
        }
        _ => see_other(&request_language::keep_in(done_page(confirmed))),
    }
}

/// Sends another mail.
async fn send(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
) -> Result<Response, Response> {
    let app = &call.app;
    let origin = origin::of(&call.request);
    let account_id = match &call.visitor.browser {
        Some(browser) => browser.account.id,
        None => account_of_form(call).ok_or_else(|| message::stale(&call.visitor))?,
    };
    let admitted = match app.limits.admit_verification_request(&app.db, &origin).await {
        Ok(admitted) => admitted,
        Err(error) => return Err(limited(call, pending_request.as_ref(), &error).await),
    };
    let device_digest = call.visitor.cookie_digest();
    let request =
        email_verification::Request { account_id, device_digest, admitted, origin: &origin };
    email_verification::request(&app.db, &app.mail, request).await.map_err(message::failed)?;
    after_sign_up(call, pending_request).await
}

/// The id of the account in the form, if the form was shown in this browser.
fn account_of_form(call: &PageRequest) -> Option<Uuid> {
    let account = call.params.get("account")?;
    let id = call.app.request_sealer.open(account, &call.visitor.cookie_digest())?;
    Uuid::from_slice(&id).ok()
}

/// The id of an account, encrypted for the cookie of the browser.
fn seal_account(call: &PageRequest, account_id: Uuid) -> Result<String, FlowError> {
    let digest = call.visitor.cookie_digest();
    Ok(call.app.request_sealer.seal(account_id.as_bytes(), &digest)?)
}

async fn limited(
    call: &PageRequest,
    pending_request: Option<&PendingRequest>,
    error: &AttemptError,
) -> Response {
    let content = lead_and_account(call).await;
    limited_on(error, |text| match &content {
        Ok((lead, account)) => {
            render(call, pending_request, (lead, text, account), StatusCode::TOO_MANY_REQUESTS)
        }
        Err(_) => message::error(StatusCode::TOO_MANY_REQUESTS),
    })
}

/// The first text of the page, and the account to which another mail can be sent, encrypted for the
/// browser: the account of the form, of the last mail that this browser requested, or of the login.
/// The account is empty if there is none.
async fn lead_and_account(call: &PageRequest) -> Result<(&'static str, String), Response> {
    let (app, now, texts) = (&call.app, call.app.clock.now(), &texts::current().verification);
    let purposes = [Purpose::VerifyEmail, Purpose::ChangeEmail, Purpose::SignUp];
    let device = call.visitor.cookie_digest();
    let found = email_challenge::find_by_device(&app.db, &purposes, device, now).await;
    let found = found.map_err(message::failed)?;
    let lead = match found.as_ref().map(|newest| newest.purpose) {
        Some(Purpose::ChangeEmail) => return Ok((texts.sent_to_new, String::new())),
        Some(Purpose::SignUp) => texts.signed_up,
        None if app.sign_up_policy.conceals_existing() => texts.signed_up,
        Some(Purpose::VerifyEmail | Purpose::ResetPassword) | None => texts.sent,
    };
    let of_login = || {
        let account = call.visitor.browser.as_ref().map(|browser| &browser.account);
        account.filter(|it| email_verification::is_to_be_verified(it)).map(|it| it.id)
    };
    let account_id = account_of_form(call).or(found.map(|challenge| challenge.account_id));
    let account_id = account_id.or_else(of_login);
    let Some(account_id) = account_id else { return Ok((lead, String::new())) };
    Ok((lead, seal_account(call, account_id).map_err(message::failed)?))
}

async fn show(
    call: &PageRequest,
    pending_request: Option<&PendingRequest>,
    problem: &str,
    status: StatusCode,
) -> Result<Response, Response> {
    let (lead, account) = lead_and_account(call).await?;
    Ok(render(call, pending_request, (lead, problem, &account), status))
}

fn render(
    call: &PageRequest,
    pending_request: Option<&PendingRequest>,
    (lead, problem, account): (&str, &str, &str),
    status: StatusCode,
) -> Response {
    let texts = texts::current();
    let page = CodePage {
        texts,
        ui_locales: request_language::ui_locales(),
        visitor: &call.visitor,
        pending_request,
        root: "",
        lead,
        code: call.params.get("code").unwrap_or_default(),
        problem,
        account,
    };
    let destinations = pending_request.map(PendingRequest::destinations).unwrap_or_default();
    let frame = Page::of_form(texts.verification.title, !problem.is_empty());
    frame.towards(&destinations).answer(status, &page)
}
