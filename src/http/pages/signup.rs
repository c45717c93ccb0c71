//! `/signup`: the same rules and limits as the JSON API's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::domain::account::{self, SignUp, SignUpError};
use crate::domain::email::Email;
use crate::domain::oauth::hosted_login;
use crate::domain::password::Password;
use crate::http::App;
use crate::http::oauth::{origin_of, respond};
use crate::http::pages::login::{NewCookie, enter, go_on_if_same};
use crate::http::pages::page::render_towards;
use crate::http::pages::templates::SignupPage;
use crate::http::pages::waiting::Waiting;
use crate::http::pages::{Call, Visit, limited_on, rule, see, unavailable};

/// What is wrong with what was typed, next to its field.
#[derive(Default)]
pub(super) struct Problems {
    /// With neither.
    form: String,
    email: String,
    is_taken: bool,
    password: String,
}

pub(super) async fn answer(request: Request) -> Response {
    Box::pin(answered(request)).await.unwrap_or_else(|page| page)
}

async fn answered(request: Request) -> Result<Response, Response> {
    let call = Call::read_any(request).await?;
    let waiting = call.waiting().await?;
    if call.is_post() && call.only_opens() && call.visit.is_new() && !call.is_same_origin() {
        return Ok(see("signup"));
    }
    if call.is_post() && !call.only_opens() {
        return if call.is_current {
            sign_up(&call, waiting).await
        } else {
            let again = |username: &str, problem: &str| {
                let problems = Problems { form: problem.to_owned(), ..Problems::default() };
                let form = Form::of(&call.app, &call.visit, waiting.as_ref());
                Form { username, problems, ..form }.render(StatusCode::BAD_REQUEST)
            };
            go_on_if_same(&call, waiting.clone(), again).await
        };
    }
    let page = Form::of(&call.app, &call.visit, waiting.as_ref()).render(StatusCode::OK);
    Ok(call.visit.remember(&call.app, page))
}

/// What the page shows.
pub(super) struct Form<'a> {
    pub(super) app: &'a App,
    pub(super) visit: &'a Visit,
    pub(super) waiting: Option<&'a Waiting>,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    pub(super) problems: Problems,
}

impl<'a> Form<'a> {
    /// Before the first attempt.
    pub(super) fn of(app: &'a App, visit: &'a Visit, waiting: Option<&'a Waiting>) -> Self {
        let username = waiting.and_then(|it| it.pending.request.login_hint.as_deref());
        let (username, problems) = (username.unwrap_or_default(), Problems::default());
        Self { app, visit, waiting, up: "", username, problems }
    }

    pub(super) fn render(&self, status: StatusCode) -> Response {
        let page = SignupPage {
            csrf: &self.visit.csrf(),
            up: self.up,
            flow: self.waiting.map_or("", |it| &it.flow),
            sealed_for: &URL_SAFE_NO_PAD.encode(self.visit.digest()),
            client_name: self.waiting.map_or("", |it| &it.client.name),
            username: self.username,
            problem: &self.problems.form,
            email_problem: &self.problems.email,
            is_taken: self.problems.is_taken,
            password_problem: &self.problems.password,
            rules: rule::rules(self.app.password_policy),
        };
        let destinations = self.waiting.map(Waiting::destinations).unwrap_or_default();
        render_towards(status, &page, &destinations)
    }
}

async fn sign_up(call: &Call, waiting: Option<Waiting>) -> Result<Response, Response> {
    let (app, now) = (&call.app, call.app.clock.now());
    let origin = origin_of(&call.request).await;
    let typed = call.params.get("username").unwrap_or_default();
    let again = |problems, status| {
        let form = Form::of(&call.app, &call.visit, waiting.as_ref());
        Form { username: typed, problems, ..form }.render(status)
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
    let cookie = NewCookie::of(call, waiting.as_ref());
    let cookie = cookie.map_err(|error| respond::failed(&error))?;
    let (entries, settings) = (&app.status_entries, &app.tokens);
    let request = (request, cookie.entrance.clone());
    match hosted_login::sign_up(&app.db, &app.hasher, entries, request, settings, now).await {
        Ok(_) => cookie.hand_over(call, waiting, "account").await,
        Err(SignUpError::EmailExists) => {
            if let Some(entered) = repeat(call, waiting.clone(), &email, password, wait).await? {
                return Ok(entered);
            }
            let email = "There is an account with this email address already.".to_owned();
            let problems = Problems { email, is_taken: true, ..Problems::default() };
            Err(again(problems, StatusCode::CONFLICT))
        }
        Err(
            cause @ (SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_)),
        ) => Err(unavailable(&cause)),
    }
}

/// A form that this browser has sent a moment ago, and that made the account: sent again before the answer
/// came, it is a login, with the limits of one.
async fn repeat(
    call: &Call,
    waiting: Option<Waiting>,
    email: &Email,
    password: Password,
    limited: impl FnOnce(&str) -> Response,
) -> Result<Option<Response>, Response> {
    let (db, now) = (&call.app.db, call.app.clock.now());
    let is_repeated = hosted_login::has_just_begun(db, email, call.visit.digest(), now).await;
    if is_repeated.map_err(|error| respond::failed(&error.into()))? {
        enter(call, waiting, email, password, "account", limited).await
    } else {
        Ok(None)
    }
}

/// Checks both fields, so that the form shows all that is wrong at once.
fn validate(call: &Call, typed: &str) -> Result<(Email, Password), Problems> {
    let mut problems = Problems::default();
    let email =
        Email::parse(typed).map_err(|it| problems.email = format!("The email address {it}.")).ok();
    let password = Password::parse(call.params.get("password").unwrap_or_default());
    let password = password.map_err(|it| problems.password = rule::unreadable(it)).ok();
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
