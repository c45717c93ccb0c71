//! `/signup`: with the same rules and limits as the JSON API.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::email::Email;
use crate::domain::oauth::hosted_login;
use crate::domain::password::Password;
use crate::http::origin;
use crate::http::pages::login::{NewCookie, continue_if_same, enter};
use crate::http::pages::message::{self, limited_on, unavailable};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::password_hint;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::signup_form::{Form, Problems};
use crate::http::redirect::see_other;

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && call.only_opens() && call.visitor.is_new() && !call.is_same_origin() {
        return Ok(see_other("signup"));
    }
    if call.is_post() && !call.only_opens() {
        return if call.is_current {
            sign_up(&call, waiting).await
        } else {
            let again = |username: &str, problem: &str| {
                let problems = Problems { form: problem.to_owned(), ..Problems::default() };
                let form = Form::of(&call.app, &call.visitor, waiting.as_ref());
                Form { username, problems, ..form }.answer(StatusCode::BAD_REQUEST)
            };
            continue_if_same(&call, waiting.clone(), again).await
        };
    }
    let page = Form::of(&call.app, &call.visitor, waiting.as_ref()).answer(StatusCode::OK);
    Ok(call.visitor.remember(&call.app, page))
}

async fn sign_up(
    call: &PageRequest,
    waiting: Option<PendingRequest>,
) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let typed = call.params.get("username").unwrap_or_default();
    let again = |problems, status| {
        let form = Form::of(&call.app, &call.visitor, waiting.as_ref());
        Form { username: typed, problems, ..form }.answer(status)
    };
    let (email, password) =
        validate(call, typed).map_err(|problems| again(problems, StatusCode::BAD_REQUEST))?;
    let wait = |text: &str| {
        let problems = Problems { form: text.to_owned(), ..Problems::default() };
        again(problems, StatusCode::TOO_MANY_REQUESTS)
    };
    let admitted = app.limits.admit_sign_up(&app.db, &email, &origin).await;
    let admitted = admitted.map_err(|it| limited_on(&it, wait))?;
    let request = SignUp { email: &email, password: password.clone(), admitted, origin: &origin };
    let cookie = NewCookie::of(call, waiting.as_ref()).map_err(message::failed)?;
    let (entries, settings) = (&app.status_entries, &app.tokens);
    let request = (request, cookie.entrance.clone());
    match hosted_login::sign_up(&app.db, &app.hasher, entries, request, settings, now).await {
        Ok(_) => cookie.hand_over(call, waiting, "account").await,
        Err(SignUpError::EmailExists) => {
            if let Some(entered) = repeat(call, waiting.clone(), &email, password, wait).await? {
                return Ok(entered);
            }
            let email = "An account with this email address already exists.".to_owned();
            let problems = Problems { email, is_taken: true, ..Problems::default() };
            Err(again(problems, StatusCode::CONFLICT))
        }
        Err(
            cause @ (SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_)),
        ) => Err(unavailable(&cause)),
    }
}

/// A form of this browser that has just created the account: submitted again before the response
/// arrived, it is a login, with its limits.
async fn repeat(
    call: &PageRequest,
    waiting: Option<PendingRequest>,
    email: &Email,
    password: Password,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (db, now) = (&call.app.db, call.app.clock.now());
    let is_repeated = hosted_login::has_just_begun(db, email, call.visitor.digest(), now).await;
    if is_repeated.map_err(message::failed)? {
        enter(call, waiting, email, password, "account", limited).await
    } else {
        Ok(None)
    }
}

/// Validates both fields, so that the form shows all errors at once.
fn validate(call: &PageRequest, typed: &str) -> Result<(Email, Password), Problems> {
    let mut problems = Problems::default();
    let email =
        Email::parse(typed).map_err(|it| problems.email = format!("The email address {it}.")).ok();
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|it| problems.password = password_hint::unreadable(it)).ok();
    if let Some(password) = &password {
        let policy = call.app.password_policy;
        let weaknesses = match &email {
            Some(email) => account::weaknesses(policy, password, email),
            None => policy.check(password, &[]),
        };
        problems.password = password_hint::problem(&weaknesses);
    }
    match (email, password) {
        (Some(email), Some(password)) if problems.password.is_empty() => Ok((email, password)),
        _ => Err(problems),
    }
}
