//! `/edit-profile`: shows and changes the profile of a logged-in user.
//!
//! For each field, the form has a hidden field with the value that was shown first. Only fields
//! that the user changed are stored, so that a form that was open for long does not undo changes
//! that were stored in the meantime.

use askama::Template;
use poem::http::StatusCode;
use poem::{Request, Response};
use serde_json::Map;

use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::params::Params;
use crate::domain::profile::{self, InvalidClaim, Profile, ProfilePatch};
use crate::domain::session::listing::{Login, SelfServiceError};
use crate::http::origin;
use crate::http::pages::layout::Page;
use crate::http::pages::login::redirect_to_login;
use crate::http::pages::message::{failed, limited_on};
use crate::http::pages::page_request::PageRequest;
use crate::http::pages::profile_fields::{self, Field, GROUPS, Input};
use crate::http::redirect::see_other;
use crate::http::texts::{self, Texts};

/// `/edit-profile`.
#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage<'a> {
    texts: &'static Texts,
    csrf: &'a str,
    /// An error that concerns no field; empty if there is none.
    problem: &'a str,
    groups: Vec<Group>,
}

/// Fields under a heading.
struct Group {
    heading: &'static str,
    fields: Vec<FieldView>,
}

/// A field with its value.
struct FieldView {
    field: &'static Field,
    id: String,
    label: &'static str,
    /// What is expected; may be empty.
    hint: &'static str,
    /// The value in the form.
    value: String,
    /// The value that the field contained when the form was first shown.
    shown: String,
    /// Why the value is invalid; empty if it is valid.
    problem: String,
    /// Whether it is the first field with an invalid value.
    has_focus: bool,
}

/// A language that can be chosen.
struct Language<'a> {
    tag: &'a str,
    name: &'a str,
    is_selected: bool,
}

impl FieldView {
    /// The languages to choose from: those of Signet, and the language that the field contained
    /// when the form was first shown.
    fn languages(&self) -> Vec<Language<'_>> {
        let shown = Some(self.shown.as_str());
        let other =
            shown.filter(|tag| !tag.is_empty() && profile_fields::language_name(tag) == *tag);
        let all = profile_fields::languages().into_iter().chain(other.map(|tag| (tag, tag)));
        all.map(|(tag, name)| Language { tag, name, is_selected: tag == self.value }).collect()
    }

    /// The elements that describe the field, for `aria-describedby`.
    fn described_by(&self) -> String {
        let parts = [(!self.problem.is_empty(), "problem"), (!self.hint.is_empty(), "hint")];
        let parts = parts.iter().filter(|(is_there, _)| *is_there);
        parts.map(|(_, part)| format!("{}-{part}", self.id)).collect::<Vec<_>>().join(" ")
    }
}

pub(super) async fn answer(request: Request) -> Result<Response, Response> {
    let call = PageRequest::read(request).await?;
    match &call.visitor.browser {
        Some(browser) if call.is_post() => change(&call, browser).await,
        Some(browser) => {
            let claims = Profile::of(&browser.account).into_claims();
            let values = |field: &Field| (field.value_in(&claims), field.value_in(&claims));
            Ok(show(&call, StatusCode::OK, "", &[], values))
        }
        None => Ok(redirect_to_login("edit-profile")),
    }
}

async fn change(call: &PageRequest, browser: &Browser) -> Result<Response, Response> {
    let origin = origin::of(&call.request);
    let again = |status, problem: &str, problems: &[InvalidClaim]| {
        let values = |field: &Field| (typed(&call.params, field), shown(&call.params, field));
        show(call, status, problem, problems, values)
    };
    call.app.limits.admit_change(&origin).map_err(|refused| {
        limited_on(&refused, |text| again(StatusCode::TOO_MANY_REQUESTS, text, &[]))
    })?;
    let patch = ProfilePatch::parse(&changes(&call.params));
    let patch = patch.map_err(|problems| again(StatusCode::BAD_REQUEST, "", &problems))?;
    let login = Login { account_id: browser.account.id, session_id: browser.session.id };
    match profile::update(&call.app.db, login, patch, &origin).await {
        Ok(_) => Ok(see_other("account?done=profile")),
        Err(SelfServiceError::Database(error)) => Err(failed(error)),
        Err(_) => Ok(redirect_to_login("edit-profile")),
    }
}

/// The fields that the user changed, as a merge patch.
fn changes(params: &Params) -> Map<String, serde_json::Value> {
    let mut patch = Map::new();
    for field in profile_fields::all() {
        let typed = typed(params, field);
        if typed != shown(params, field) {
            field.set_in(&mut patch, &typed);
        }
    }
    patch
}

/// The submitted value of a field.
fn typed(params: &Params, field: &Field) -> String {
    without_carriage_returns(params.get(field.name))
}

/// The value that the field contained when the submitted form was first shown.
fn shown(params: &Params, field: &Field) -> String {
    without_carriage_returns(params.get(&format!("shown.{}", field.name)))
}

/// Browsers send CR LF for each line break of a form.
fn without_carriage_returns(value: Option<&str>) -> String {
    value.unwrap_or_default().replace("\r\n", "\n")
}

/// The page. `values` returns two values of a field: that in the form, and the one that the field
/// contained when the form was first shown.
fn show(
    call: &PageRequest,
    status: StatusCode,
    problem: &str,
    problems: &[InvalidClaim],
    values: impl Fn(&Field) -> (String, String),
) -> Response {
    let texts = texts::current();
    let first = profile_fields::all().find(|field| problem_of(field, problems).is_some());
    let first = first.map(|field| field.name);
    let view = |field: &'static Field| {
        let (value, shown) = values(field);
        let problem = problem_of(field, problems).unwrap_or_default();
        FieldView {
            field,
            id: field.id(),
            label: (texts.profile.label)(field.name),
            hint: (texts.profile.hint)(field.name),
            value,
            shown,
            problem,
            has_focus: first == Some(field.name),
        }
    };
    let groups = GROUPS.iter().map(|&(heading, fields)| Group {
        heading: heading(&texts.profile),
        fields: fields.iter().map(&view).collect(),
    });
    let page = ProfilePage { texts, csrf: &call.visitor.csrf(), problem, groups: groups.collect() };
    let has_problem = !problem.is_empty() || !problems.is_empty();
    Page::of_form(texts.profile.title, has_problem).answer(status, &page)
}

/// The error of a field as a sentence.
fn problem_of(field: &Field, problems: &[InvalidClaim]) -> Option<String> {
    let problem = problems.iter().find(|problem| problem.name == field.name)?;
    Some((texts::current().profile.claim_error)(problem.error))
}
