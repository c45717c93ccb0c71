//! The pages' templates, and what each is given. All values are escaped by the engine.

use askama::Template;

/// `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) csrf: &'a str,
    /// The handle of the request that waits; empty if none does.
    pub(super) flow: &'a str,
    /// Who asked for the login; empty if nobody did.
    pub(super) client_name: &'a str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    /// Why it did not work; empty if it was not tried.
    pub(super) problem: &'a str,
}

/// `/signup`.
#[derive(Template)]
#[template(path = "signup.html")]
pub(super) struct SignupPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) flow: &'a str,
    pub(super) client_name: &'a str,
    pub(super) username: &'a str,
    pub(super) email_problem: &'a str,
    pub(super) password_problem: &'a str,
}

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) flow: &'a str,
    pub(super) client_name: &'a str,
    pub(super) email: &'a str,
    /// What the client asks for, in words.
    pub(super) wishes: Vec<String>,
}

/// The question whether to log out.
#[derive(Template)]
#[template(path = "logout.html")]
pub(super) struct LogoutPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) action: &'a str,
    pub(super) email: &'a str,
    /// What of the client's request is handed on.
    pub(super) fields: Vec<(&'a str, &'a str)>,
}

/// An error, or a few words.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) heading: &'a str,
    pub(super) text: &'a str,
}

/// `/account`.
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) email: &'a str,
    pub(super) sessions: Vec<SessionLine>,
}

/// A login, as its owner sees it.
pub(super) struct SessionLine {
    pub(super) id: String,
    pub(super) client_name: String,
    pub(super) since: String,
    pub(super) address: String,
    pub(super) user_agent: String,
    pub(super) is_this: bool,
}

/// An authorization response that the browser posts.
#[derive(Template)]
#[template(path = "form_post.html")]
pub(super) struct FormPostPage<'a> {
    pub(super) action: &'a str,
    pub(super) fields: &'a [(&'static str, String)],
}
