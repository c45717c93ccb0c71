//! Advances an authorization request to a code. Decides whether a login or a consent is missing.

use sea_orm::{DatabaseTransaction, DbErr, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::database::Db;
use crate::domain::audit::{Event, Kind, Origin};
use crate::domain::oauth::authorization_request::{ErrorCode, NOT_LOGGED_IN, Reason, invalid};
use crate::domain::oauth::browser_session::Browser;
use crate::domain::oauth::code;
use crate::domain::oauth::consent::{self, RequestedAccess};
use crate::domain::oauth::pending_authorization::{FlowError, Pending, StoredIn};
use crate::domain::secret::Secret;
use crate::domain::session;
use crate::entity::client as client_row;
use crate::entity::client::Model as Client;
use crate::entity::pending_authorization;
use crate::entity::session as session_row;
use crate::timestamp::Timestamp;

/// The reason for refusing a request without consent, if it forbids asking the user.
const NO_CONSENT: Reason = (ErrorCode::CONSENT_REQUIRED, "the user has not given consent");

/// The reason for refusing a request whose row or client was deleted while it was pending.
const VOID: Reason = invalid("the consent was withdrawn, or the client was deleted");

/// The user's decision on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Consent given.
    Allow,
    /// Consent denied.
    Deny,
}

/// The next step of an authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The user must log in.
    LogIn,
    /// The user must consent.
    Consent,
    /// The request ends with an error.
    Refuse(Reason),
    /// The request ends with this code.
    Code(String),
}

/// The input of [`advance`].
pub struct FlowInput<'a> {
    /// The client.
    pub client: &'a Client,
    /// The issuer, which determines the audience of a client without audiences.
    pub issuer: &'a str,
    /// The request.
    pub pending: &'a Pending,
    /// The browser session, if the user is logged in.
    pub browser: Option<&'a Browser>,
    /// The user's decision, if the consent page was answered.
    pub decision: Option<Decision>,
    /// Where the browser's request came from.
    pub origin: &'a Origin,
}

/// Advances a request as far as possible.
///
/// # Errors
/// See [`FlowError`]; then nothing is granted.
pub async fn advance(db: &Db, state: FlowInput<'_>, now: Timestamp) -> Result<Step, FlowError> {
    let request = &state.pending.request;
    let may_ask = !request.prompts("none");
    let browser = match state.browser.filter(|it| satisfies_request(it, state.pending, now)) {
        Some(browser) => browser,
        None if may_ask => return Ok(Step::LogIn),
        None => return Ok(Step::Refuse(NOT_LOGGED_IN)),
    };
    if request.subject.is_some_and(|subject| subject != browser.account.id) {
        // If the user has just logged in to another account than the requested account, asking
        // again would loop forever.
        let is_final = !may_ask || browser.session.auth_time >= state.pending.asked_at;
        return Ok(if is_final { Step::Refuse(NOT_LOGGED_IN) } else { Step::LogIn });
    }
    let ground = match state.decision {
        Some(Decision::Deny) => return deny(db, &state, browser.account.id).await,
        Some(Decision::Allow) => Some(Ground::Asked),
        None => ground_without_asking(&state),
    };
    let step = match ground {
        Some(ground) => grant(db, &state, browser, ground).await?,
        None => Step::Consent,
    };
    Ok(match step {
        Step::Consent if !may_ask => Step::Refuse(NO_CONSENT),
        Step::LogIn if !may_ask => Step::Refuse(NOT_LOGGED_IN),
        step => step,
    })
}

/// How long after a login its form may be sent again with the same result, regardless of `max_age`
/// and `prompt`, in seconds.
const RESUBMISSION_SECONDS: u64 = 60;

/// Whether the login of the browser session is recent enough for this request.
fn satisfies_request(browser: &Browser, pending: &Pending, now: Timestamp) -> bool {
    let request = &pending.request;
    let auth_time = browser.session.auth_time;
    let age = now.as_seconds().saturating_sub(auth_time.as_seconds());
    let is_for_request = auth_time >= pending.asked_at;
    match pending.stored_in {
        // The user has logged in for this request, and may then spend any time on the consent page.
        StoredIn::Row(_) if is_for_request => return true,
        // The login form has just been sent, perhaps twice.
        StoredIn::SealedForm if is_for_request && age <= RESUBMISSION_SECONDS => return true,
        _ => {}
    }
    let is_old = request.max_age.is_some_and(|max_age| max_age == 0 || age > max_age);
    !(is_old || ["login", "select_account", "create"].iter().any(|it| request.prompts(it)))
}

/// Why a request may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ground {
    /// The user was asked and consented.
    Asked,
    /// An earlier consent covers the request. The transaction checks this.
    Remembered,
    /// The client is registered as not requiring consent.
    Preapproved,
}

/// Why a request may be granted without the consent page. `None` if the user must be asked.
fn ground_without_asking(state: &FlowInput<'_>) -> Option<Ground> {
    let client = state.client;
    // Any program can impersonate a public native client (RFC 8252 §8.6).
    let can_be_impersonated = client.is_native() && !client.is_confidential();
    if state.pending.request.prompts("consent") || can_be_impersonated {
        return None;
    }
    Some(if client.is_preapproved() { Ground::Preapproved } else { Ground::Remembered })
}

/// Refuses a request. The last decision counts, so a code that an earlier decision created is
/// deleted. The row stays as long as the request is pending, so that a form that is sent again gets
/// a response of the same kind.
async fn deny(db: &Db, state: &FlowInput<'_>, account_id: Uuid) -> Result<Step, FlowError> {
    let (request, origin) = (state.pending.request.clone(), state.origin.clone());
    let event = Event::new(Kind::ConsentDenied).account(account_id).client(&state.client.id);
    db.write((request, event, origin), move |txn, now, (request, event, origin)| {
        Box::pin(async move {
            session::lock_account(txn, account_id).await?;
            code::delete_unused(txn, account_id, request, now).await?;
            event.clone().record(txn, origin, now).await
        })
    })
    .await?;
    Ok(Step::Refuse((ErrorCode::ACCESS_DENIED, "the user denied the request")))
}

/// The input of the transaction that grants a request.
#[derive(Clone)]
struct Grant {
    client: Client,
    issuer: String,
    pending: Pending,
    browser: Browser,
    ground: Ground,
    code_digest: Vec<u8>,
    origin: Origin,
}

/// Stores the decision and creates the code, in one transaction.
async fn grant(
    db: &Db,
    state: &FlowInput<'_>,
    browser: &Browser,
    ground: Ground,
) -> Result<Step, FlowError> {
    let secret = Secret::generate(code::PREFIX)?;
    let grant = Grant {
        client: state.client.clone(),
        issuer: state.issuer.to_owned(),
        pending: state.pending.clone(),
        browser: browser.clone(),
        ground,
        code_digest: secret.digest,
        origin: state.origin.clone(),
    };
    let alternative =
        db.write(grant, |txn, now, grant| Box::pin(grant_in_transaction(txn, grant, now)));
    Ok(alternative.await?.unwrap_or(Step::Code(secret.text)))
}

/// The transaction of [`grant`]. If the request cannot be granted, it returns the step that is due
/// instead.
///
/// It first locks the client and then the account. The withdrawal of a consent locks the account as
/// well, so consents do not change before the commit.
async fn grant_in_transaction(
    txn: &DatabaseTransaction,
    grant: &Grant,
    now: Timestamp,
) -> Result<Option<Step>, DbErr> {
    let Grant { client, issuer, pending, browser, ground, code_digest, origin } = grant;
    let Pending { stored_in, request, .. } = pending;
    let account_id = browser.account.id;
    // The client is locked first, as in a code exchange and in client removal.
    if !client_row::Entity::lock_registered(txn, &client.id).await? {
        return Ok(Some(Step::Refuse(VOID)));
    }
    let requested = RequestedAccess { client, issuer, request };
    session::lock_account(txn, account_id).await?;
    // The browser session is checked again, because it may have ended before the account was
    // locked.
    let login = session_row::Entity::find_by_id(browser.session.id);
    if login.filter(session_row::Entity::live(now)).one(txn).await?.is_none() {
        return Ok(Some(Step::LogIn));
    }
    if *ground == Ground::Remembered && !consent::covers(txn, account_id, requested).await? {
        return Ok(Some(Step::Consent));
    }
    if let StoredIn::Row(digest) = stored_in {
        let pending = pending_authorization::Entity::find_by_id(digest.clone());
        if pending.one(txn).await?.is_none() {
            return Ok(Some(Step::Refuse(VOID)));
        }
    }
    if *stored_in != StoredIn::Nothing {
        code::delete_unused(txn, account_id, request, now).await?;
    }
    if *ground == Ground::Asked {
        consent::remember(txn, browser, requested, origin, now).await?;
    }
    code::insert(txn, code_digest.clone(), request, browser, origin, now).await?;
    Ok(None)
}
