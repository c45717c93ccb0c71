//! The pages' templates, and what each is given. All values are escaped by the engine.

use askama::Template;

use crate::http::pages::consent_text::Permission;
use crate::http::pages::layout::{Page, title_of};
use crate::http::pages::password_hint::Rule;
use crate::http::request_context::RequestContext;

/// `/login`.
#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) csrf: &'a str,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    /// The request that waits, sealed, or its handle; empty if none does.
    pub(super) flow: &'a str,
    /// The digest of the cookie that it is sealed for, if it is sealed.
    pub(super) sealed_for: &'a str,
    /// The page of ours that follows if no request waits.
    pub(super) then: &'a str,
    /// Who asked for the login; empty if nobody did.
    pub(super) client_name: &'a str,
    /// What was typed, or who is expected.
    pub(super) username: &'a str,
    /// Why it did not work; empty if it was not tried.
    pub(super) problem: &'a str,
    /// Whether that is because of what was typed.
    pub(super) is_wrong: bool,
}

impl Page for LoginPage<'_> {
    fn title(&self) -> String {
        title_of("Log in", !self.problem.is_empty())
    }
}

/// `/signup`.
#[derive(Template)]
#[template(path = "signup.html")]
pub(super) struct SignupPage<'a> {
    pub(super) csrf: &'a str,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    pub(super) flow: &'a str,
    pub(super) sealed_for: &'a str,
    pub(super) client_name: &'a str,
    pub(super) username: &'a str,
    /// Why nothing was tried; may be empty, as the others.
    pub(super) problem: &'a str,
    pub(super) email_problem: &'a str,
    /// Whether that is because somebody has the address.
    pub(super) is_taken: bool,
    pub(super) password_problem: &'a str,
    /// What the password has to meet.
    pub(super) rules: Vec<Rule>,
}

impl Page for SignupPage<'_> {
    fn title(&self) -> String {
        let problems = [self.problem, self.email_problem, self.password_problem];
        title_of("Sign up", problems.iter().any(|problem| !problem.is_empty()))
    }
}

/// `/consent`.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) flow: &'a str,
    pub(super) client_name: &'a str,
    pub(super) email: &'a str,
    /// Where the answer goes, in words.
    pub(super) returns_to: &'a str,
    /// What the client asks for, in words.
    pub(super) asked: Permission,
    /// The single claims among that, by their names.
    pub(super) claims: &'a str,
}

impl Page for ConsentPage<'_> {
    fn title(&self) -> String {
        "Allow access".to_owned()
    }
}

/// The question whether to log out.
#[derive(Template)]
#[template(path = "logout.html")]
pub(super) struct LogoutPage<'a> {
    pub(super) csrf: &'a str,
    /// What leads from the page to where the others are.
    pub(super) up: &'a str,
    pub(super) email: &'a str,
    /// What of the client's request is handed on.
    pub(super) fields: Vec<(&'a str, &'a str)>,
}

impl Page for LogoutPage<'_> {
    fn title(&self) -> String {
        "Log out".to_owned()
    }
}

/// An error, or a few words.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) heading: &'a str,
    pub(super) text: &'a str,
    /// For whoever has to mend it; may be empty.
    pub(super) details: &'a str,
    /// Where it goes on: an address and what it is called.
    pub(super) link: Option<(&'a str, &'a str)>,
    /// What the log and the audit log know the request by, if something went wrong; may be empty.
    pub(super) request_id: String,
}

impl<'a> MessagePage<'a> {
    /// A few words.
    pub(super) fn new(heading: &'a str, text: &'a str, link: Option<(&'a str, &'a str)>) -> Self {
        Self { heading, text, details: "", link, request_id: String::new() }
    }

    /// An error of the request that is being answered.
    pub(super) fn of_error(heading: &'a str, text: &'a str) -> Self {
        let id = RequestContext::current().map(|context| context.id.to_string());
        Self { request_id: id.unwrap_or_default(), ..Self::new(heading, text, None) }
    }
}

impl Page for MessagePage<'_> {
    fn title(&self) -> String {
        self.heading.to_owned()
    }
}

/// `/change-password`.
#[derive(Template)]
#[template(path = "password.html")]
pub(super) struct PasswordPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) account: &'a str,
    /// Whose password, for the browser's memory.
    pub(super) username: &'a str,
    pub(super) current_problem: &'a str,
    pub(super) new_problem: &'a str,
    /// What the new one has to meet.
    pub(super) rules: Vec<Rule>,
}

impl Page for PasswordPage<'_> {
    fn title(&self) -> String {
        let has_problem = !self.current_problem.is_empty() || !self.new_problem.is_empty();
        title_of("Change your password", has_problem)
    }
}

/// `/delete-account`.
#[derive(Template)]
#[template(path = "deletion.html")]
pub(super) struct DeletionPage<'a> {
    pub(super) csrf: &'a str,
    pub(super) account: &'a str,
    pub(super) email: &'a str,
    pub(super) problem: &'a str,
}

impl Page for DeletionPage<'_> {
    fn title(&self) -> String {
        title_of("Delete your account", !self.problem.is_empty())
    }
}

/// `/account`.
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage<'a> {
    pub(super) csrf: &'a str,
    /// What has just been done; empty if nothing was.
    pub(super) done: &'a str,
    pub(super) email: &'a str,
    /// This browser's, and some of the others.
    pub(super) first_sessions: Vec<SessionLine>,
    pub(super) more_sessions: Vec<SessionLine>,
    pub(super) consents: Vec<ConsentLine>,
}

impl Page for AccountPage<'_> {
    fn title(&self) -> String {
        "Your account".to_owned()
    }

    fn is_wide(&self) -> bool {
        true
    }
}

/// A login, as its owner sees it.
pub(super) struct SessionLine {
    pub(super) id: String,
    /// The client; of a login on these pages, the browser.
    pub(super) heading: String,
    /// For programs.
    pub(super) since: String,
    /// For people.
    pub(super) since_in_words: String,
    pub(super) address: String,
    /// A browser, or another program; empty if the heading says it.
    pub(super) device: String,
    pub(super) is_this: bool,
}

/// What somebody has allowed a client, as they see it.
pub(super) struct ConsentLine {
    pub(super) client_id: String,
    pub(super) client_name: String,
    /// Where the client is at home: names can be anything.
    pub(super) home: String,
    /// When that was last said, for programs.
    pub(super) at: String,
    /// The same, for people.
    pub(super) at_in_words: String,
    pub(super) permissions: Vec<Permission>,
}

/// An authorization response that the browser posts.
#[derive(Template)]
#[template(path = "form_post.html")]
pub(super) struct FormPostPage<'a> {
    pub(super) action: &'a str,
    /// The same, in words.
    pub(super) returns_to: &'a str,
    pub(super) fields: &'a [(&'static str, String)],
}

impl Page for FormPostPage<'_> {
    fn title(&self) -> String {
        "One moment".to_owned()
    }

    fn has_script(&self) -> bool {
        true
    }
}
