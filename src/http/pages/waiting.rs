//! The request of a client that waits while its person is at our pages.
//!
//! A page carries it in the field `flow`: sealed, in a form alone, or as the handle of a row, which
//! may be in an address, too.

use std::sync::Arc;

use poem::Response;
use poem::http::StatusCode;

use crate::domain::oauth::client::Client;
use crate::domain::oauth::flow::Step;
use crate::domain::oauth::sealed;
use crate::domain::oauth::waiting::{self, Kept, Pending};
use crate::http::App;
use crate::http::oauth::respond;
use crate::http::pages::{Visit, bad_request, login, signup};

/// Why a request goes nowhere whose client is not registered, or not any more.
pub(in crate::http) const UNKNOWN_CLIENT: &str = "the client is not known";

/// A request that waits, and who asked.
#[derive(Clone)]
pub(in crate::http) struct Waiting {
    pub(in crate::http) pending: Pending,
    pub(in crate::http) client: Client,
    /// What pages carry: the sealed request or the handle of its row; empty if it has just come.
    pub(in crate::http) flow: String,
}

impl Waiting {
    /// Where the forms of a flow may end: at the client's redirect URI, and wherever the client
    /// leads from there, as far as it registered that.
    pub(super) fn destinations(&self) -> Vec<&str> {
        let client = &self.client;
        let registered = client.redirect_uris.0.iter().chain(&client.post_logout_redirect_uris.0);
        let on_the_web = registered.map(String::as_str).filter(|uri| uri.starts_with("https:"));
        [self.pending.request.to.redirect_uri.as_str()].into_iter().chain(on_the_web).collect()
    }

    /// Asks whoever is at the browser for what a request needs next, a login or a consent: the
    /// answer to a request that has just come, or to a login. `up` leads from the address that is
    /// answered to where the pages are.
    pub(in crate::http) async fn ask(
        mut self,
        app: &Arc<App>,
        visit: &Visit,
        step: &Step,
        up: &str,
    ) -> Response {
        if let (Step::Consent, Some(browser)) = (step, &visit.browser) {
            let account_id = browser.account.id;
            return match waiting::keep(&app.db, &self.pending, account_id, visit.digest()).await {
                Ok(Some(handle)) => respond::see_other(&format!("{up}consent?flow={handle}")),
                Ok(None) => bad_request(UNKNOWN_CLIENT),
                Err(error) => respond::failed(&error),
            };
        }
        // Sealed anew at each login, as that has changed the cookie.
        match sealed::seal(&app.request_sealer, &self.pending, &visit.digest()) {
            Ok(flow) => self.flow = flow,
            Err(error) => return respond::failed(&error),
        }
        self.pending.kept = Kept::InBrowser;
        if self.pending.request.prompts("create") {
            let page = signup::Form { up, ..signup::Form::of(app, visit, Some(&self)) };
            return visit.remember(app, page.render(StatusCode::OK));
        }
        let page = login::Form { up, ..login::Form::of(visit, Some(&self)) };
        visit.remember(app, page.render())
    }
}
