//! `/signup`: the same rules and limits as the JSON API's.

use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::http::oauth::origin_of;
use crate::http::pages::login::enter;
use crate::http::pages::page::render_towards;
use crate::http::pages::templates::SignupPage;
use crate::http::pages::waiting::Waiting;
use crate::http::pages::{Call, limited, rule, unavailable};

/// What is wrong with what was typed, next to its field.
#[derive(Default)]
struct Problems {
    email: String,
    password: String,
}

pub(super) async fn answer(request: Request) -> Response {
    answered(request).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && !call.only_opens() {
        return sign_up(&call, waiting).await;
    }
    let expected = waiting.as_ref().and_then(|it| it.pending.request.login_hint.as_deref());
    let username = expected.unwrap_or_default();
    let page = show(&call, waiting.as_ref(), username, &Problems::default(), StatusCode::OK);
    Ok(call.visit.remember(page))
}

fn show(
    call: &Call,
    waiting: Option<&Waiting>,
    username: &str,
    problems: &Problems,
    status: StatusCode,
) -> Response {
    let page = SignupPage {
        csrf: &call.visit.csrf(),
        flow: waiting.map_or("", |it| &it.flow),
        client_name: waiting.map_or("", |it| &it.client.name),
        username,
        email_problem: &problems.email,
        password_problem: &problems.password,
        password_hint: rule::hint(call.app.password_policy),
    };
    let destinations = waiting.map(Waiting::destinations).unwrap_or_default();
    render_towards(status, &page, &destinations)
}

async fn sign_up(call: &Call, waiting: Option<Waiting>) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let typed = call.params.get("username").unwrap_or_default();
    let again = |problems: &Problems, status| show(call, waiting.as_ref(), typed, problems, status);
    let (email, password) =
        validate(call, typed).map_err(|problems| again(&problems, StatusCode::BAD_REQUEST))?;
    let admitted = app.limits.admit_sign_up(&app.db, &origin).await.map_err(|it| limited(&it))?;
    let wish = SignUp { email: &email, password, admitted, origin: &origin };
    match account::sign_up(&app.db, &app.hasher, &app.status_entries, wish, &app.tokens, now).await
    {
        Ok(granted) => enter(call, waiting, &granted, &origin).await,
        Err(SignUpError::EmailExists) => {
            let email = "There is an account with this email address already.".to_owned();
            let problems = Problems { email, ..Problems::default() };
            Err(again(&problems, StatusCode::CONFLICT))
        }
        Err(
            cause @ (SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_)),
        ) => Err(unavailable(&cause)),
    }
}

/// Checks both fields, so that the form shows all that is wrong at once.
fn validate(call: &Call, typed: &str) -> Result<(Email, Password), Problems> {
    let mut problems = Problems::default();
    let email =
        Email::parse(typed).map_err(|it| problems.email = format!("The email address {it}.")).ok();
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|it| problems.password = rule::problem(&[it])).ok();
    if let Some(password) = &password {
        let policy = call.app.password_policy;
        let weaknesses = match &email {
            Some(email) => account::weaknesses(policy, password, email),
            None => policy.check(password, &[]),
        };
        problems.password = rule::problem(&weaknesses);
    }
    match (email, password) {
        (Some(email), Some(password)) if problems.password.is_empty() => Ok((email, password)),
        _ => Err(problems),
    }
}
