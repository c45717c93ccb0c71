//! `/signup`, with the same rules and limits as a sign-up at the JSON API.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account::{self, SignUp, SignUpError, SignedUp};
use crate::domain::email::Email;
use crate::domain::email_verification::{self, Verification};
use crate::domain::invite;
use crate::domain::oauth::hosted_login;
use crate::domain::password::Password;
use crate::http::origin;
use crate::http::pages::login::{continue_if_same, log_in_and_continue};
use crate::http::pages::message::{self, limited_on, unavailable};
use crate::http::pages::new_login::NewCookie;
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::password_hint;
use crate::http::pages::pending_request::PendingRequest;
use crate::http::pages::signup_form::{self, Form, Problems};
use crate::http::pages::signup_refused::Refused;
use crate::http::pages::verify_email;
use crate::http::redirect::see_other;
use crate::http::request_language;
use crate::http::texts;

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read_any(request).await?;
    let pending_request = call.pending_request().await?;
    let is_allowed = call.app.sign_up_policy.check(invite_of(&call)).is_ok();
    // If the policy refuses the sign-up, the submitted form only opens the page, which says so.
    let only_opens = call.only_opens() || !is_allowed;
    // The form may be cross-site: browsers send such a form without the cookie. This redirect sets
    // no cookie, because a new cookie would replace the existing one.
    if call.is_post() && only_opens && call.visitor.is_new() && !call.is_same_origin() {
        return Ok(see_other(&request_language::keep_in("signup")));
    }
    if call.is_post() && !only_opens {
        return if call.is_current {
            sign_up(&call, pending_request).await
        } else {
            let again = |username: &str, problem: &str| {
                let problems = Problems { form: problem.to_owned(), ..Problems::default() };
                let form = Form::of(&call.app, &call.visitor, pending_request.as_ref());
                let invite = invite_of(&call).unwrap_or_default();
                Form { username, invite, problems, ..form }.answer(StatusCode::BAD_REQUEST)
            };
            continue_if_same(&call, pending_request.clone(), again).await
        };
    }
    let page = open(&call, pending_request.as_ref()).await?;
    Ok(call.visitor.set_cookie(&call.app, page))
}

/// The invite in the link or in the form.
fn invite_of(call: &PageRequest) -> Option<&str> {
    call.params.get("invite").filter(|invite| !invite.is_empty())
}

/// Opens the page. The link of an invite fills in the address; opening it does not use the invite,
/// because mail scanners open links.
async fn open(
    call: &PageRequest,
    pending_request: Option<&PendingRequest>,
) -> Result<Response, Response> {
    let (app, visitor) = (&call.app, &call.visitor);
    let invite = invite_of(call).filter(|it| app.sign_up_policy.check(Some(it)).is_ok());
    let Some(invite) = invite else {
        return Ok(signup_form::open(app, visitor, pending_request, ""));
    };
    let found = invite::find(&app.db, invite, app.clock.now()).await.map_err(message::failed)?;
    let Some(row) = found else {
        let text = texts::current().signup.invalid_invite;
        return Ok(Refused::of(app, visitor, pending_request, text).answer());
    };
    let form = Form::of(app, visitor, pending_request);
    Ok(Form { username: &row.email, invite, ..form }.answer(StatusCode::OK))
}

async fn sign_up(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin::of(&call.request);
    let username = call.params.get("username").unwrap_or_default();
    let again = |problems, status| {
        let form = Form::of(&call.app, &call.visitor, pending_request.as_ref());
        let invite = invite_of(call).unwrap_or_default();
        Form { username, invite, problems, ..form }.answer(status)
    };
    let (email, password) =
        validate(call, username).map_err(|problems| again(problems, StatusCode::BAD_REQUEST))?;
    let permit = app.sign_up_policy.permit(&email, invite_of(call)).map_err(|refusal| {
        let email = (texts::current().signup.refusal)(refusal).to_owned();
        again(Problems { email, ..Problems::default() }, StatusCode::FORBIDDEN)
    })?;
    let limited = |text: &str| {
        let problems = Problems { form: text.to_owned(), ..Problems::default() };
        again(problems, StatusCode::TOO_MANY_REQUESTS)
    };
    let admitted = app.limits.admit_sign_up(&app.db, &email, &origin).await;
    let admitted = admitted.map_err(|it| limited_on(&it, limited))?;
    let cookie = NewCookie::of(call, pending_request.as_ref()).map_err(message::failed)?;
    let verification = verification_of(call, &cookie);
    let request = SignUp {
        permit: &permit,
        password: password.clone(),
        admitted,
        origin: &origin,
        verification,
    };
    let (entries, settings) = (&app.status_entries, &app.tokens);
    let request = (request, cookie.context.clone());
    match hosted_login::sign_up(&app.db, &app.hasher, entries, request, settings, now).await {
        Ok(SignedUp::LoggedIn(_)) => {
            cookie.set_and_continue(call, pending_request, "account").await
        }
        Ok(SignedUp::Unverified) => verify_email::after_sign_up(call, pending_request).await,
        Err(refusal @ (SignUpError::EmailExists | SignUpError::InvalidInvite)) => {
            let logged_in =
                resubmit(call, pending_request.clone(), &email, password, limited).await?;
            if let Some(logged_in) = logged_in {
                return Ok(logged_in);
            }
            if has_just_signed_up(call, &email).await? {
                return verify_email::after_sign_up(call, pending_request).await;
            }
            Err(match refusal {
                SignUpError::EmailExists => again(Problems::taken(), StatusCode::CONFLICT),
                _ => again(Problems::invalid_invite(), StatusCode::BAD_REQUEST),
            })
        }
        Err(
            cause @ (SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_)),
        ) => Err(unavailable(&cause)),
    }
}

/// The verification that the sign-up begins. Its code works with the cookie that the browser has
/// afterwards: the new cookie, or the current cookie if the sign-up begins no session.
fn verification_of(call: &PageRequest, cookie: &NewCookie) -> Option<Verification> {
    let policy = &call.app.sign_up_policy;
    let device_digest = if policy.delays_session() {
        call.visitor.cookie_digest()
    } else {
        cookie.context.cookie.digest.clone()
    };
    policy.verification(&call.app.mail, device_digest)
}

/// Processes a form that is submitted again before the response to the first submission has
/// arrived. If the first one has created the account in this browser, the second one counts as a
/// login, with the limits of a login. Otherwise returns `None`.
async fn resubmit(
    call: &PageRequest,
    pending_request: Option<PendingRequest>,
    email: &Email,
    password: Password,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (db, now) = (&call.app.db, call.app.clock.now());
    let is_repeated =
        hosted_login::has_recent_login(db, email, call.visitor.cookie_digest(), now).await;
    if is_repeated.map_err(message::failed)? {
        log_in_and_continue(call, pending_request, email, password, "account", limited).await
    } else {
        Ok(None)
    }
}

/// Whether a previous submission of the form has created the account in this browser, without a
/// session.
async fn has_just_signed_up(call: &PageRequest, email: &Email) -> Result<bool, Response> {
    let (app, device) = (&call.app, call.visitor.cookie_digest());
    let found =
        email_verification::has_just_signed_up(&app.db, email, device, app.clock.now()).await;
    found.map_err(message::failed)
}

/// Validates both fields, so that the form shows all errors at once.
fn validate(call: &PageRequest, username: &str) -> Result<(Email, Password), Problems> {
    let (mut problems, text_of) = (Problems::default(), texts::current().common.email_error);
    let email =
        Email::parse(username).map_err(|it| text_of(it).clone_into(&mut problems.email)).ok();
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|it| problems.password = password_hint::unusable(it)).ok();
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
