//! The lists as this instance publishes them: bits from the database, signed now and then.
//!
//! Each second an instance asks what has been marked of late, and each minute for everything, a page at
//! a time: however many marks there are, no question takes long. A list that changed is signed anew; so is one whose signature grows old, since verifiers may use it until
//! its `exp` and so survive an outage of nearly that long.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

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

/// Marks in one page of everything.
const PAGE: u64 = 20_000;

/// How long an instance may have looked in vain before it counts as unready.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// When what was published was last known to be complete, on the monotonic clock.
    looked_at: std::sync::Mutex<Instant>,
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
        let lists = Self {
            settings,
            published: ArcSwap::default(),
            looked_at: std::sync::Mutex::new(Instant::now()),
            state: Mutex::default(),
        };
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
        let looked_at = Instant::now();
        // What was found is published even if something else could not be read. Nothing is renewed
        // then: nobody knows what else has ended.
        let looked = state.look(db, now).await;
        if looked.is_ok() || !state.changed.is_empty() {
            self.sign(&mut state, issuer, now)?;
        }
        looked?;
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = looked_at;
        Ok(())
    }

    /// Whether logouts of late are in what is published.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let looked_at = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.elapsed() < PATIENCE
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
    /// Reads the latest marks, and everything when that is due or there is a list not seen before.
    /// The latest first: they must not wait for the rest.
    async fn look(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        let is_known = self.add_latest(db, now).await?;
        let is_due = self.read_at.is_none_or(|at| now.since(at) >= WHOLE || now < at);
        if is_due || !is_known {
            self.read_whole(db).await?;
            self.read_at = Some(now);
        }
        Ok(())
    }

    /// `false` if a mark is of a list that is not known.
    async fn add_latest(&mut self, db: &Db, now: Timestamp) -> Result<bool, DbErr> {
        let since = now.minus(LATEST);
        for (list, index) in latest(db, since).await? {
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
        let mut lists = BTreeMap::new();
        for id in ids {
            lists.insert(id, bits_of(db, id).await?);
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

async fn latest(db: &Db, since: Timestamp) -> Result<Vec<(i32, i32)>, DbErr> {
    use invalid_status::Column::{Idx, ListId, Since};
    let marks = invalid_status::Entity::find().select_only().column(ListId).column(Idx);
    let marks = marks.filter(Since.gt(since)).into_tuple::<(i32, i32)>();
    db.read(|db| async move { marks.all(&db).await }).await
}

async fn bits_of(db: &Db, list: i32) -> Result<Bits, DbErr> {
    use invalid_status::Column::{Idx, ListId};
    let mut bits = Bits::all_valid(ENTRIES);
    let mut behind = -1;
    loop {
        let marks = invalid_status::Entity::find().select_only().column(Idx);
        let marks = marks.filter(ListId.eq(list)).filter(Idx.gt(behind));
        let page = marks.order_by_asc(Idx).limit(PAGE).into_tuple::<i32>();
        let page = db.read(|db| async move { page.all(&db).await }).await?;
        let Some(end) = page.last() else { return Ok(bits) };
        behind = *end;
        for index in page {
            set(&mut bits, index);
        }
    }
}
