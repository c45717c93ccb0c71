//! The lists as this instance publishes them: bits from the database, signed now and then.
//!
//! Each second an instance asks what has been marked of late, and each minute for everything. A list
//! that changed is signed anew; so is one whose signature grows old, since verifiers may use it until
//! its `exp` and so survive an outage of nearly that long.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::config::StatusSettings;
use crate::database::Db;
use crate::domain::status::{Bits, ENTRIES};
use crate::domain::token::{Issuer, SigningError};
use crate::entity::{invalid_status, status_list};
use crate::timestamp::Timestamp;

/// What is asked for again each second: marks bear the time their request came, and are seen only
/// when it has been committed.
const LATEST: Duration = Duration::from_mins(2);

/// When everything is read again.
const WHOLE: Duration = Duration::from_mins(1);

/// The part of its life after which a list is signed again, though nothing has changed.
const RENEWED_AFTER: u32 = 12;

/// Why the lists could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The database refused or failed.
    #[error("the status lists could not be read")]
    Database(#[from] DbErr),
    /// The library failed, or the keys are out of date.
    #[error("a status list could not be signed")]
    Sign(#[from] SigningError),
    /// The bits could not be compressed.
    #[error("a status list could not be packed")]
    Pack(#[from] io::Error),
}

/// A status list token (draft-ietf-oauth-status-list section 5.1).
#[derive(Debug, Clone)]
pub struct SignedList {
    /// The compact JWS.
    pub token: Arc<str>,
    signed_at: Timestamp,
    kid: Arc<str>,
}

/// All lists of one moment, by number.
pub type Published = BTreeMap<i32, SignedList>;

/// The lists, kept up to date.
pub struct StatusLists {
    settings: StatusSettings,
    published: ArcSwap<Published>,
    /// What they are made of; only the task that keeps them touches it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bits: BTreeMap<i32, Bits>,
    read_at: Option<Timestamp>,
    changed: Vec<i32>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    ttl: u64,
    status_list: StatusListClaim<'a>,
}

#[derive(Serialize)]
struct StatusListClaim<'a> {
    bits: u8,
    lst: &'a str,
}

impl StatusLists {
    /// Reads and signs the lists.
    ///
    /// # Errors
    /// See [`ListError`].
    pub async fn open(
        db: &Db,
        issuer: &Issuer,
        settings: StatusSettings,
        now: Timestamp,
    ) -> Result<Self, ListError> {
        let lists = Self { settings, published: ArcSwap::default(), state: Mutex::default() };
        lists.reload(db, issuer, now).await?;
        Ok(lists)
    }

    /// The lists as they were last signed.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Looks what has been marked, and signs what has changed or grows old.
    ///
    /// # Errors
    /// See [`ListError`]; what was published stays so.
    pub async fn reload(&self, db: &Db, issuer: &Issuer, now: Timestamp) -> Result<(), ListError> {
        let mut state = self.state.lock().await;
        state.look(db, now).await?;
        self.sign(&mut state, issuer, now)
    }

    fn sign(&self, state: &mut State, issuer: &Issuer, now: Timestamp) -> Result<(), ListError> {
        let before = self.published();
        let mut after = Published::new();
        for (id, bits) in &state.bits {
            let signed = match before.get(id) {
                Some(signed)
                    if !state.changed.contains(id) && self.is_recent(signed, issuer, now) =>
                {
                    signed.clone()
                }
                _ => self.signed(*id, bits, issuer, now)?,
            };
            after.insert(*id, signed);
        }
        let is_same = before.len() == after.len()
            && before.values().zip(after.values()).all(|(a, b)| Arc::ptr_eq(&a.token, &b.token));
        if !is_same {
            self.published.store(Arc::new(after));
        }
        state.changed.clear();
        Ok(())
    }

    /// Whether a list that has not changed can stay as it is.
    fn is_recent(&self, signed: &SignedList, issuer: &Issuer, now: Timestamp) -> bool {
        let old = self.settings.status_list_life() / RENEWED_AFTER;
        now.since(signed.signed_at) < old
            && signed.signed_at <= now
            && issuer.signs_with(&signed.kid)
    }

    fn signed(
        &self,
        id: i32,
        bits: &Bits,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Result<SignedList, ListError> {
        let claims = Claims {
            sub: &issuer.status_uri(id),
            iat: now.as_seconds(),
            exp: now.plus(self.settings.status_list_life()).as_seconds(),
            ttl: self.settings.status_ttl_seconds,
            status_list: StatusListClaim { bits: 1, lst: &bits.to_lst()? },
        };
        let (token, kid) = issuer.status_list_token(&claims)?;
        Ok(SignedList { token: token.into(), signed_at: now, kid: kid.into() })
    }
}

impl State {
    /// Reads the latest marks, or everything when that is due or there is a list not seen before.
    async fn look(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        let is_due = self.read_at.is_none_or(|at| now.since(at) >= WHOLE || now < at);
        if is_due || !self.add_latest(db, now).await? {
            self.read_whole(db).await?;
            self.read_at = Some(now);
        }
        Ok(())
    }

    /// `false` if a mark is of a list that is not known.
    async fn add_latest(&mut self, db: &Db, now: Timestamp) -> Result<bool, DbErr> {
        let since = now.minus(LATEST);
        for (list, index) in marks(db, Some(since)).await? {
            let Some(bits) = self.bits.get_mut(&list) else { return Ok(false) };
            if set(bits, index) && !self.changed.contains(&list) {
                self.changed.push(list);
            }
        }
        Ok(true)
    }

    async fn read_whole(&mut self, db: &Db) -> Result<(), DbErr> {
        let ids = status_list::Entity::find()
            .select_only()
            .column(status_list::Column::Id)
            .order_by_asc(status_list::Column::Id)
            .into_tuple::<i32>();
        let ids = db.read(|db| async move { ids.all(&db).await }).await?;
        let mut lists: BTreeMap<_, _> =
            ids.into_iter().map(|id| (id, Bits::all_valid(ENTRIES))).collect();
        for (list, index) in marks(db, None).await? {
            if let Some(bits) = lists.get_mut(&list) {
                set(bits, index);
            }
        }
        let differs = |id: &i32, bits: &Bits| self.bits.get(id) != Some(bits);
        let changed = lists.iter().filter(|(id, bits)| differs(id, bits)).map(|(id, _)| *id);
        self.changed.extend(changed.collect::<Vec<_>>());
        self.bits = lists;
        Ok(())
    }
}

fn set(bits: &mut Bits, index: i32) -> bool {
    usize::try_from(index).is_ok_and(|index| bits.set(index))
}

async fn marks(db: &Db, since: Option<Timestamp>) -> Result<Vec<(i32, i32)>, DbErr> {
    use invalid_status::Column::{Idx, ListId, Since};
    let mut marks = invalid_status::Entity::find().select_only().column(ListId).column(Idx);
    if let Some(since) = since {
        marks = marks.filter(Since.gt(since));
    }
    db.read(|db| async move { marks.into_tuple::<(i32, i32)>().all(&db).await }).await
}
