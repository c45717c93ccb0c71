//! The hosted pages: plain HTML forms that work without a script.
//!
//! A form's POST is answered with 303, or with its page again and what is wrong. While a client's
//! request waits, pages carry it (`waiting`); it is of use in the browser it began in alone.

mod account;
mod confirm;
mod consent;
mod cookie;
mod deletion;
mod device;
mod login;
mod logout;
mod looks;
pub(in crate::http) mod page;
mod password;
mod rule;
mod signup;
mod templates;
mod visit;
mod waiting;
mod words;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::endpoint::make_sync;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{EndpointExt, Request, Response, Route, get};

use crate::domain::attempt::{AttemptError, whole_seconds};
use crate::domain::oauth::client;
use crate::domain::oauth::flow::{self, Decision, State, Step};
use crate::domain::oauth::params::Params;
use crate::domain::oauth::registered::{self, Outdated};
use crate::domain::oauth::sealed;
use crate::domain::oauth::waiting::{self as rows, Kept, Pending};
use crate::domain::password::HashError;
use crate::http::App;
use crate::http::body_limit::BodyLimit;
use crate::http::documents::{Document, ReadOnly};
use crate::http::error::Problem;
use crate::http::oauth::form::{self, Unreadable};
use crate::http::oauth::{app_of, make_answer, origin_of, respond, surface, surface_up_to};
use crate::http::pages::page::{Dress, render};
use crate::http::pages::templates::{FormPostPage, MessagePage};
use crate::http::trace::Trace;
use crate::timestamp::Timestamp;

pub use cookie::PageCookie;
pub(in crate::http) use logout::ask as ask_logout;
pub use looks::{LogoError, Looks};
pub(in crate::http) use visit::Visit;
pub(in crate::http) use waiting::{UNKNOWN_CLIENT, Waiting};

/// The paths of the pages and the methods they answer.
pub(in crate::http) const METHODS: [(&str, &str); 12] = [
    ("/login", "GET, HEAD, POST"),
    ("/signup", "GET, HEAD, POST"),
    ("/consent", "GET, HEAD, POST"),
    ("/logout", "GET, HEAD, POST"),
    ("/account", "GET, HEAD, POST"),
    ("/change-password", "GET, HEAD, POST"),
    ("/delete-account", "GET, HEAD, POST"),
    ("/assets/style.css", "GET, HEAD"),
    ("/assets/page.js", "GET, HEAD"),
    ("/assets/submit.js", "GET, HEAD"),
    ("/assets/logo", "GET, HEAD"),
    ("/assets/icon.svg", "GET, HEAD"),
];

/// The scripts of pages: of all, and of an authorization response that the browser posts.
const SCRIPTS: [(&str, &str); 2] = [
    ("page.js", include_str!("../../templates/page.js")),
    ("submit.js", include_str!("../../templates/submit.js")),
];

/// Adds the pages.
pub(in crate::http) fn add_to(routes: Route, app: &Arc<App>) -> Route {
    let [login, signup, consent, logout, account, password, deletion, ..] =
        METHODS.map(|(_, it)| it);
    let large = BodyLimit::WITH_REQUEST;
    let endpoints = [
        surface_up_to(large, "loginPage", login, error, make_answer(login::answer)),
        surface_up_to(large, "signupPage", signup, error, make_answer(signup::answer)),
        surface("consentPage", consent, error, make_answer(consent::answer)),
        surface("logoutPage", logout, error, make_answer(logout::answer)),
        surface("accountPage", account, error, make_answer(account::answer)),
        surface("passwordPage", password, error, make_answer(password::answer)),
        surface("deletionPage", deletion, error, make_answer(deletion::answer)),
    ];
    let pages = METHODS.iter().zip(endpoints).fold(routes, |routes, ((path, _), endpoint)| {
        routes.at(
            *path,
            endpoint.with(Dress(Arc::clone(app))).with(Trace::default()).data(Arc::clone(app)),
        )
    });
    // An address with a slash behind it, and none at all, are meant as well.
    let pages = METHODS.iter().filter(|(path, _)| !path.starts_with("/assets")).fold(
        pages.at("/", get(make_sync(|_| respond::see_other("account")))),
        |pages, (path, _)| {
            let meant = format!("..{path}");
            pages.at(format!("{path}/"), get(make_sync(move |_| respond::see_other(&meant))))
        },
    );
    // "A Well-Known URL for Changing Passwords" (W3C): where password managers lead people.
    let well_known = get(make_sync(|_| respond::see_other("../change-password")));
    let pages = pages.at("/.well-known/change-password", well_known);
    // Links are relative, since a proxy may serve all of this below a path; so pages that stand below
    // `/oauth2` look for their assets there.
    ["", "/oauth2"].iter().fold(pages, |mut pages, below| {
        for (name, text) in SCRIPTS {
            let script = text.as_bytes().to_vec();
            let script = Document::public("text/javascript; charset=utf-8", script, 300);
            pages = pages.at(format!("{below}/assets/{name}"), ReadOnly(script));
        }
        if let Some(logo) = &app.looks.logo_file {
            pages = pages.at(format!("{below}/assets/logo"), ReadOnly(logo.clone()));
        }
        let (style, icon) = (app.looks.style.clone(), app.looks.icon.clone());
        pages
            .at(format!("{below}/assets/style.css"), ReadOnly(style))
            .at(format!("{below}/assets/icon.svg"), ReadOnly(icon))
    })
}

/// The page for a bare status.
pub(in crate::http) fn error(status: StatusCode) -> Response {
    let wait = if status == StatusCode::SERVICE_UNAVAILABLE { 1 } else { 60 };
    let (heading, text) = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            ("That does not work", "This page does not answer that method.")
        }
        StatusCode::NOT_FOUND => ("Page not found", "There is nothing at this address."),
        StatusCode::URI_TOO_LONG => ("That does not work", "The address is too long."),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "Too many cookies",
            "Your browser sent more cookies than can be read. Delete the cookies of this site, then try \
             again.",
        ),
        StatusCode::TOO_MANY_REQUESTS => return too_many(wait),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Try again in a moment", "The service is busy. What you sent may not have been saved.")
        }
        status if status.is_client_error() => ("That does not work", "The request cannot be read."),
        _ => (
            "Something went wrong",
            "It went wrong on our side. What you sent may not have been saved.",
        ),
    };
    let link = if status.is_server_error() { None } else { Some(("account", "Your account")) };
    let page = MessagePage { link, ..MessagePage::of_error(heading, text) };
    let mut response = render(status, &page);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

/// The page for an address at which there is none, or a request that got no further: `root` leads to
/// where the pages are.
pub(in crate::http) fn lost(app: &App, status: StatusCode, root: &str) -> Response {
    page::dress(app, error(status), root)
}

fn too_many(seconds: u64) -> Response {
    let text = wait_text(seconds);
    let page = MessagePage::of_error("Too many attempts", &text);
    let mut response = render(StatusCode::TOO_MANY_REQUESTS, &page);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn wait_text(seconds: u64) -> String {
    match seconds {
        1 => "Wait a second, then try again.".to_owned(),
        seconds => format!("Wait {seconds} seconds, then try again."),
    }
}

/// Who came too often waits, and is told how long; who cannot be counted waits, too.
pub(in crate::http) fn limited(refused: &AttemptError) -> Response {
    match refused {
        AttemptError::Refused(refusal) => too_many(refusal.seconds().get()),
        AttemptError::Database(_) => unavailable(refused),
    }
}

/// The same, said on the form with what was typed into it.
fn limited_on(refused: &AttemptError, form: impl FnOnce(&str) -> Response) -> Response {
    let AttemptError::Refused(refusal) = refused else { return unavailable(refused) };
    let seconds = refusal.seconds().get();
    // Perhaps it was somebody else behind the same address.
    let whose = if refusal.quota_name == "address" { " from your network" } else { "" };
    let mut response = form(&format!("Too many attempts{whose}. {}", wait_text(seconds)));
    response.set_status(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The page for a failure of ours, which is logged here; a crowd at the password hash is none.
fn unavailable(cause: &(dyn std::error::Error + 'static)) -> Response {
    let mut causes = std::iter::successors(Some(cause), |it| it.source());
    let hashing = causes.find_map(|it| it.downcast_ref::<HashError>());
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE);
    if let Some(HashError::Busy { retry_after }) = hashing {
        let seconds = HeaderValue::from(whole_seconds(*retry_after).get());
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    } else {
        Problem::failed(cause);
    }
    response
}

/// Why a request goes nowhere whose redirect URI is not the client's.
pub(in crate::http) const NOT_REGISTERED: &str =
    "redirect_uri is not one that the client registered";

/// The page for a request of a client that goes nowhere: it says why, and repeats nothing.
pub(in crate::http) fn bad_request(why: &str) -> Response {
    let text = "The application that sent you here made a mistake. Whoever runs it can mend that.";
    let page = MessagePage::of_error("That does not work", text);
    render(StatusCode::BAD_REQUEST, &MessagePage { details: why, ..page })
}

/// The page for a form that was not ours, or whose time has passed.
fn stale(visit: &Visit) -> Response {
    let text = "This page has been open for too long, or was opened in another browser, or your browser \
                keeps no cookies of this site. Go back to the application and try again.";
    let link = match visit.browser {
        Some(_) => ("account", "Your account"),
        None => ("login", "Log in"),
    };
    render(StatusCode::BAD_REQUEST, &MessagePage::new("Start again", text, Some(link)))
}

/// An authorization response that the browser posts.
pub(in crate::http) fn form_post(action: &str, fields: &[(&'static str, String)]) -> Response {
    let page = FormPostPage { action, returns_to: &page::in_words(action), fields };
    page::render_towards(StatusCode::OK, &page, &[action])
}

/// Leads to a page of ours. Relative: this one may have been opened under another name of this host, and
/// the policy of its form allows no other origin.
fn see(page: &str) -> Response {
    respond::see_other(page)
}

/// One request for a page: what all of them need.
struct Call {
    app: Arc<App>,
    request: Request,
    visit: Visit,
    params: Params,
    /// Whether it is no form, or one of ours that was shown to this browser since its last login.
    is_current: bool,
}

impl Call {
    /// Reads a request; a form must be ours, and current.
    async fn read(request: Request) -> Result<Self, Response> {
        let call = Self::read_any(request).await?;
        if call.is_current { Ok(call) } else { Err(stale(&call.visit)) }
    }

    /// Reads a request. A form that is not current must change nothing: it may be another site's, if the
    /// browser does not say. It may as well be a second click, whose first has changed the cookie.
    async fn read_any(mut request: Request) -> Result<Self, Response> {
        let internal = |_| error(StatusCode::INTERNAL_SERVER_ERROR);
        let app = app_of(&request).map_err(internal)?;
        let visit = Visit::of(&app, &request).await.map_err(|error| respond::failed(&error))?;
        let params = form::params(&mut request).await;
        let params = params.map_err(|Unreadable(_)| error(StatusCode::BAD_REQUEST))?;
        let is_post = request.method() == poem::http::Method::POST;
        let site = request.header("sec-fetch-site");
        if is_post && site.is_some_and(|site| site != "same-origin") {
            return Err(stale(&visit));
        }
        let is_current = !is_post || visit.vouches(&request, &params);
        Ok(Self { app, request, visit, params, is_current })
    }

    /// Whether one of our own forms has just done this: a link from elsewhere does not say that it has.
    fn has_done(&self, what: &str) -> bool {
        let site = self.request.header("sec-fetch-site");
        self.params.get("done") == Some(what) && site.is_none_or(|site| site == "same-origin")
    }

    /// Whether the browser says that one of our own pages sent this; some say nothing.
    fn is_same_origin(&self) -> bool {
        self.request.header("sec-fetch-site") == Some("same-origin")
    }

    fn is_post(&self) -> bool {
        self.request.method() == poem::http::Method::POST
    }

    /// Whether this form only opens the page, as a link would: links carry no sealed request.
    fn only_opens(&self) -> bool {
        self.params.get("open").is_some()
    }

    /// The request that waits, as far as its client may still have it; none if the page was opened
    /// by itself.
    async fn waiting(&self) -> Result<Option<Waiting>, Response> {
        let Some(flow) = self.params.get("flow") else { return Ok(None) };
        let (app, now, browser) = (&self.app, self.app.clock.now(), self.visit.digest());
        let found = match sealed::is_sealed(flow) {
            true if self.is_post() => self.open_sealed(flow, now),
            // Pages put it into forms alone: addresses end up in logs and histories.
            true => None,
            false => rows::find(&app.db, flow, browser, now)
                .await
                .map_err(|error| respond::failed(&error))?
                .map(|pending| (pending, flow.to_owned())),
        };
        let (pending, flow) = found.ok_or_else(|| stale(&self.visit))?;
        let found = client::find(&app.db, &pending.request.client_id).await;
        let found = found.map_err(|error| respond::failed(&error.into()))?;
        let client = found.ok_or_else(|| stale(&self.visit))?;
        match registered::renewed(&client, pending.request, &app.issuer_url) {
            Ok(request) => {
                let pending = Pending { request, ..pending };
                Ok(Some(Waiting { pending, client, flow }))
            }
            Err(Outdated::Nowhere) => Err(bad_request(NOT_REGISTERED)),
            Err(Outdated::Refused(refusal)) => Err(respond::refusal(app, &refusal)),
        }
    }

    /// A request that was sealed for this browser, with the cookie it has; or with another one, and then it
    /// is sealed anew: the page may be from before a login, and then the login knows the cookie before it, or
    /// from before a logout, and then it says itself for which it was sealed. Whoever sends the latter gets no
    /// further with it than with a link to the authorization endpoint.
    fn open_sealed(&self, flow: &str, now: Timestamp) -> Option<(Pending, String)> {
        let sealer = &self.app.request_sealer;
        let digest = self.visit.digest();
        if let Some(pending) = sealed::open(sealer, flow, &digest, now) {
            return Some((pending, flow.to_owned()));
        }
        let said = self.params.get("sealed_for").filter(|_| !self.is_current);
        let said = said.and_then(|it| URL_SAFE_NO_PAD.decode(it).ok());
        let before = self.visit.previous_digest().map(<[u8]>::to_vec);
        let mut digests = [before, said].into_iter().flatten();
        let pending = digests.find_map(|digest| sealed::open(sealer, flow, &digest, now))?;
        let flow = sealed::seal(sealer, &pending, &digest).ok()?;
        Some((pending, flow))
    }

    /// Takes the request that waits as far as it goes, for whoever `visit` says is logged in.
    async fn go_on(&self, waiting: Waiting, visit: &Visit, decision: Option<Decision>) -> Response {
        let origin = origin_of(&self.request).await;
        let browser = visit.browser.as_ref();
        let issuer = &self.app.issuer_url;
        let Waiting { pending, client, .. } = &waiting;
        let state = State { client, issuer, pending, browser, decision, origin: &origin };
        let step = match flow::advance(&self.app.db, state, self.app.clock.now()).await {
            Ok(step) => step,
            Err(error) => return respond::failed(&error),
        };
        if let Some(answer) = respond::outcome(&self.app, &pending.request.to, &step) {
            return answer;
        }
        match pending.kept {
            Kept::InRow(_) if step == Step::Consent => self.lead_to("consent"),
            Kept::InRow(_) => self.lead_to("login"),
            Kept::InBrowser | Kept::Nowhere => {
                Box::pin(waiting.ask(&self.app, visit, &step, "")).await
            }
        }
    }

    /// A page of ours, with the request that waits.
    fn lead_to(&self, page: &str) -> Response {
        // What is no handle is not repeated.
        let is_handle =
            |flow: &&str| flow.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        match self.params.get("flow").filter(is_handle) {
            Some(flow) => see(&format!("{page}?flow={flow}")),
            None => see(page),
        }
    }
}
