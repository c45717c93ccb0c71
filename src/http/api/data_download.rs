//! Download of the data of an account: by API, and for the page.
//!
//! The body is a stream, because an account may have any number of sessions and events. So a
//! download needs little memory, and rows are read only as fast as the client receives them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use poem::http::header;
use poem::web::Data;
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::account::Row;
use crate::domain::account_data;
use crate::domain::audit::Origin;
use crate::domain::oauth::client::{self, ClientSummary};
use crate::domain::oauth::consent;
use crate::domain::reauthentication::{self, Confirmation};
use crate::domain::session;
use crate::domain::session::listing::{Login, SelfServiceError};
use crate::http::api::Tag;
use crate::http::api::account_data::{AccountData, AccountEvent, StoredSession};
use crate::http::api::consents::Consent;
use crate::http::api::reauthentication::{ReauthenticationFailure, admit_early, parse_password};
use crate::http::app::App;
use crate::http::bearer::LoggedIn;
use crate::http::json::Json;
use crate::timestamp::Timestamp;

/// The name of the file.
const DISPOSITION: &str = "attachment; filename=\"account-data.json\"";

/// The download of the data of the account.
pub(in crate::http) struct DataDownloadApi;

#[OpenApi(prefix_path = "/api/auth/me/data", tag = "Tag::Accounts")]
impl DataDownloadApi {
    /// Download the data of the account.
    ///
    /// Requires the account's password. The response contains what is stored about the account,
    /// except secrets. It may be large. If the download fails halfway, the connection is closed
    /// before the end of the body, which is then not valid JSON.
    #[oai(path = "/", method = "post", operation_id = "downloadMyData")]
    async fn download(
        &self,
        app: Data<&Arc<App>>,
        origin: Origin,
        LoggedIn(login): LoggedIn,
        body: Json<DownloadBody>,
    ) -> Result<Downloaded, ReauthenticationFailure> {
        let now = app.clock.now();
        let password = parse_password("password", &body.0.password)?;
        let email = admit_early(&app, login, &origin, now).await?;
        let admitted = app.limits.admit_reauthentication(&app.db, &email, &origin).await?;

        let mail = &app.mail;
        let confirmation = Confirmation { login, password, admitted, origin: &origin, mail };
        reauthentication::admit_download(&app.db, &app.hasher, confirmation, now).await?;
        Ok(Downloaded::Ok(DataFile(data_file(&app, login).await?)))
    }
}

/// The body of a download request.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct DownloadBody {
    /// The account's password.
    #[oai(validator(max_length = 128), write_only)]
    password: String,
}

/// A response with [`AccountData`], whose body is a stream.
struct DataFile(Response);

impl Payload for DataFile {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        AccountData::schema_ref()
    }

    fn register(registry: &mut Registry) {
        AccountData::register(registry);
    }
}

impl IntoResponse for DataFile {
    fn into_response(self) -> Response {
        self.0
    }
}

#[derive(ApiResponse)]
enum Downloaded {
    /// The data, as an attachment (`Content-Disposition`).
    #[oai(status = 200)]
    Ok(DataFile),
}

/// A download in progress.
struct Download {
    app: Arc<App>,
    account: Row,
    now: Timestamp,
    next: Next,
}

/// What is sent next, with the id of the last row that was sent.
enum Next {
    Sessions(Option<Uuid>),
    Events(Option<Uuid>),
    Nothing,
}

/// The response with the data of the account of `login`. Its user must have been reauthenticated.
///
/// # Errors
/// [`SelfServiceError::NotLoggedIn`], or a database error. A later error ends the body early.
pub(in crate::http) async fn data_file(
    app: &Arc<App>,
    login: Login,
) -> Result<Response, SelfServiceError> {
    let (db, now) = (&app.db, app.clock.now());
    let account = session::account_of_live(db, login.session_id, login.account_id, now).await?;
    let account = account.ok_or(SelfServiceError::NotLoggedIn)?;
    let consents = consent::list(db, account.id, &app.issuer_url).await?;
    let consents = consents.into_iter().map(Consent::of).collect();
    let data = AccountData::without_lists(app.issuer_url.clone(), &account, consents, now);
    let begin = Bytes::from(begin_of(&data));
    let download = Download { app: Arc::clone(app), account, now, next: Next::Sessions(None) };
    let rest = stream::try_unfold(download, |download| Box::pin(download.next_part()));
    let body = Body::from_bytes_stream(stream::iter([Ok(begin)]).chain(rest));
    Ok(Response::builder()
        .content_type("application/json")
        .header(header::CONTENT_DISPOSITION, DISPOSITION)
        .body(body))
}

/// The JSON text up to the beginning of the sessions, which are empty in `data`.
fn begin_of(data: &AccountData) -> String {
    let text = serde_json::to_string(data).unwrap_or_default();
    text.strip_suffix("],\"events\":[]}").unwrap_or_default().to_owned()
}

impl Download {
    /// The next part of the JSON text, and the rest of the download. `None` at the end.
    async fn next_part(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let part = match self.next {
            Next::Sessions(after) => self.sessions(after).await,
            Next::Events(after) => self.events(after).await,
            Next::Nothing => return Ok(None),
        };
        part.map(|part| Some((part.into(), self))).map_err(|error| {
            tracing::warn!(%error, "a download of account data ended early");
            io::Error::other(error)
        })
    }

    async fn sessions(&mut self, after: Option<Uuid>) -> Result<String, SelfServiceError> {
        let rows = account_data::sessions(&self.app.db, self.account.id, after).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            self.next = Next::Events(None);
            return Ok("],\"events\":[".to_owned());
        };
        self.next = Next::Sessions(Some(last));
        let ids = rows.iter().map(|row| row.client_id.clone()).collect();
        let clients: HashMap<String, ClientSummary> = client::summaries(&self.app.db, ids).await?;
        let sessions = rows.into_iter().map(|row| {
            let name = clients.get(&row.client_id).map(|client| client.name.clone());
            StoredSession::of(row, &self.account, name, self.now)
        });
        Ok(elements(sessions, after.is_none()))
    }

    async fn events(&mut self, after: Option<Uuid>) -> Result<String, SelfServiceError> {
        let rows = account_data::events(&self.app.db, self.account.id, after).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            self.next = Next::Nothing;
            return Ok("]}\n".to_owned());
        };
        self.next = Next::Events(Some(last));
        Ok(elements(rows.into_iter().map(AccountEvent::of), after.is_none()))
    }
}

/// Elements of a JSON array, one per line. `is_first` if they are the first of the array.
fn elements(values: impl Iterator<Item = impl Serialize>, is_first: bool) -> String {
    let mut text = String::new();
    for (index, value) in values.enumerate() {
        text.push_str(if is_first && index == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(&value).unwrap_or_default());
    }
    text
}
