//! Status lists as this instance publishes them: bits from the database, signed periodically.
//!
//! Each second an instance reads the marks of the last two minutes; if there are many, only those
//! since its last read, with an overlap, and the full two minutes once a minute. It reads
//! everything at the start and after a failure, and page by page in the background, so that no
//! query is slow however many marks there are. It signs a list again when the list has changed, and
//! when the signature gets old: verifiers may use a list until its `exp`, and so survive an outage
//! of nearly that long.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::config::StatusSettings;
use crate::database::Db;
use crate::domain::status::{Bits, ENTRIES};
use crate::domain::token::{Issuer, SigningError};
use crate::entity::invalid_status::{self, Model as Mark};
use crate::entity::status_list;
use crate::timestamp::Timestamp;

/// How far a read overlaps the previous one. A mark's timestamp is taken before its commit and
/// becomes visible after it, so the overlap covers slow commits and clock skew.
const FAR: Duration = Duration::from_mins(2);

/// The overlap after a read that found more than [`MANY`], in addition to the longest time that a
/// request waits for the database. Together they must exceed the duration of a commit.
const NEAR: Duration = Duration::from_secs(2);

/// With more marks than this, they are not read again each second.
const MANY: usize = 1_000;

/// The interval of reads with the long overlap, and of background reads of everything.
const ROUND: Duration = Duration::from_mins(1);

/// If the clock was set back by more than this, everything is read again: marks may have timestamps
/// before the last read.
const SET_BACK: Duration = Duration::from_secs(1);

/// Marks per page.
const PAGE: u64 = 20_000;

/// How long reads may fail before an instance counts as not ready.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// An unchanged list is signed again after its lifetime divided by this.
const RENEWED_AFTER: u32 = 12;

/// Why the lists could not be updated.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The database refused or failed.
    #[error("the status lists could not be read")]
    Database(#[from] DbErr),
    /// The library failed, or the key ring is out of date.
    #[error("a status list could not be signed")]
    Sign(#[from] SigningError),
    /// The bits could not be compressed.
    #[error("a status list could not be compressed")]
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

/// All lists published at one time, by number.
pub type Published = BTreeMap<i32, SignedList>;

/// The status lists, updated periodically.
pub struct StatusLists {
    settings: StatusSettings,
    published: ArcSwap<Published>,
    /// When the published lists were last known to be complete, on the monotonic clock.
    looked_at: std::sync::Mutex<Instant>,
    /// The data that the lists are made from; only the task that updates them uses it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bits: BTreeMap<i32, Bits>,
    changed: Vec<i32>,
    /// The last read, and the last one with the long overlap; `None` if everything must be read.
    looked_at: Option<LastRead>,
    /// The lists being read again page by page.
    rereading: Rereading,
}

#[derive(Clone, Copy)]
struct LastRead {
    at: Timestamp,
    /// When the last read with the long overlap was, and whether it found many marks.
    far_at: Timestamp,
    has_many: bool,
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

    /// The lists as last signed.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Reads new marks, and signs lists that have changed or whose signature is old.
    ///
    /// # Errors
    /// See [`ListError`]; lists published before stay, with the marks that were read.
    pub async fn reload(&self, db: &Db, issuer: &Issuer, now: Timestamp) -> Result<(), ListError> {
        let mut state = self.state.lock().await;
        let looked_at = Instant::now();
        // Marks that were read are published even if a later read failed. If there are none,
        // nothing is re-signed: the lists may lack other ended sessions.
        let looked = state.look(db, now).await;
        if looked.is_ok() || !state.changed.is_empty() {
            self.sign(&mut state, issuer, now, looked.is_ok())?;
        }
        looked?;
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = looked_at;
        Ok(())
    }

    /// Whether the published lists include recent logouts.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let looked_at = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        looked_at.elapsed() < STALE_AFTER
    }

    fn sign(
        &self,
        state: &mut State,
        issuer: &Issuer,
        now: Timestamp,
        is_complete: bool,
    ) -> Result<(), ListError> {
        let before = self.published();
        let mut after = Published::new();
        for (id, bits) in &state.bits {
            let signed = match before.get(id) {
                Some(signed)
                    if !state.changed.contains(id)
                        && (!is_complete || self.is_recent(signed, issuer, now)) =>
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

    /// Whether an unchanged list does not have to be signed again yet.
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
    /// Reads marks since the last read, then one more page of the background read. The latest are
    /// read first so that they are not delayed. Reads everything if the last read is not known or a
    /// list is new.
    async fn look(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        // A read that fails leaves this empty: the duration of commits during an outage is not
        // known.
        let before = self.looked_at.take().filter(|before| now.plus(SET_BACK) >= before.at);
        let mut looked = LastRead { at: now, far_at: now, has_many: false };
        let mut is_known = false;
        if let Some(before) = before {
            let is_near = before.has_many && now.since(before.far_at) < ROUND;
            let since = if is_near {
                before.at.min(now).minus(db.wait() + NEAR)
            } else {
                before.far_at.min(now).minus(FAR)
            };
            let found = self.add_latest(db, since).await?;
            is_known = found.is_some();
            looked.has_many = found.is_some_and(|number| number > MANY);
            if is_near {
                looked = LastRead { at: now, ..before };
            }
        }
        if is_known {
            self.read_again(db, now).await?;
        } else {
            self.read_whole(db).await?;
        }
        self.looked_at = Some(looked);
        Ok(())
    }

    /// Returns the number of marks; `None` if one belongs to an unknown list.
    async fn add_latest(&mut self, db: &Db, since: Timestamp) -> Result<Option<usize>, DbErr> {
        let mut behind = Mark { since, list_id: i32::MIN, idx: i32::MIN };
        let mut number = 0;
        loop {
            let page = latest(db, &behind).await?;
            number += page.len();
            behind = page.last().cloned().unwrap_or(behind);
            let is_all = is_last(page.len());
            if !page.iter().all(|mark| self.add(mark)) {
                return Ok(None);
            }
            if is_all {
                return Ok(Some(number));
            }
        }
    }

    /// Returns `false` if the mark belongs to an unknown list.
    fn add(&mut self, mark: &Mark) -> bool {
        let Some(bits) = self.bits.get_mut(&mark.list_id) else { return false };
        if set(bits, mark.idx) && !self.changed.contains(&mark.list_id) {
            self.changed.push(mark.list_id);
        }
        // The mark may be on a page that has already been read again.
        if let Some(reading) = self.rereading.lists.front_mut()
            && reading.list == mark.list_id
        {
            set(&mut reading.bits, mark.idx);
        }
        true
    }

    async fn read_whole(&mut self, db: &Db) -> Result<(), DbErr> {
        let mut lists = BTreeMap::new();
        for mut reading in unread_lists(db).await? {
            while !reading.read_page(db).await? {}
            lists.insert(reading.list, reading.bits);
        }
        let differs = |id: &i32, bits: &Bits| self.bits.get(id) != Some(bits);
        let changed = lists.iter().filter(|(id, bits)| differs(id, bits)).map(|(id, _)| *id);
        self.changed.extend(changed.collect::<Vec<_>>());
        self.bits = lists;
        self.rereading = Rereading::default();
        Ok(())
    }

    /// Reads one page of all marks, to find marks that other reads missed and to drop those that
    /// were deleted. A round starts each minute, once the previous one is complete.
    async fn read_again(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        if self.rereading.lists.is_empty() {
            if self.rereading.began_at.is_some_and(|at| at <= now && now.since(at) < ROUND) {
                return Ok(());
            }
            let lists = unread_lists(db).await?;
            if lists.iter().any(|reading| !self.bits.contains_key(&reading.list)) {
                return self.read_whole(db).await;
            }
            self.bits.retain(|id, _| lists.iter().any(|reading| reading.list == *id));
            self.rereading = Rereading { lists, began_at: Some(now) };
        }
        let Some(reading) = self.rereading.lists.front_mut() else { return Ok(()) };
        if !reading.read_page(db).await? {
            return Ok(());
        }
        if let Some(Reading { list, bits, .. }) = self.rereading.lists.pop_front()
            && self.bits.get(&list) != Some(&bits)
        {
            self.bits.insert(list, bits);
            self.changed.push(list);
        }
        Ok(())
    }
}

/// The lists that are still to be read again; the first may be partly read.
#[derive(Default)]
struct Rereading {
    lists: VecDeque<Reading>,
    began_at: Option<Timestamp>,
}

/// A list being read.
struct Reading {
    list: i32,
    bits: Bits,
    behind: i32,
    /// All of its entries are invalid, marked or not.
    is_closed: bool,
}

impl Reading {
    /// Returns `true` if that was the last page.
    async fn read_page(&mut self, db: &Db) -> Result<bool, DbErr> {
        use invalid_status::Column::{Idx, ListId};
        if self.is_closed {
            return Ok(true);
        }
        let marks = invalid_status::Entity::find().select_only().column(Idx);
        let marks = marks.filter(ListId.eq(self.list)).filter(Idx.gt(self.behind));
        let page = marks.order_by_asc(Idx).limit(PAGE).into_tuple::<i32>();
        let page = db.read(|db| async move { page.all(&db).await }).await?;
        self.behind = page.last().copied().unwrap_or(self.behind);
        let is_all = is_last(page.len());
        for index in page {
            set(&mut self.bits, index);
        }
        Ok(is_all)
    }
}

fn set(bits: &mut Bits, index: i32) -> bool {
    usize::try_from(index).is_ok_and(|index| bits.set(index))
}

fn is_last(page: usize) -> bool {
    u64::try_from(page).is_ok_and(|marks| marks < PAGE)
}

/// All lists, of which no page has been read yet.
async fn unread_lists(db: &Db) -> Result<VecDeque<Reading>, DbErr> {
    use status_list::Column::{ClosedAt, Id};
    let lists = status_list::Entity::find().select_only().columns([Id, ClosedAt]).order_by_asc(Id);
    let lists = lists.into_tuple::<(i32, Option<Timestamp>)>();
    let lists = db.read(|db| async move { lists.all(&db).await }).await?.into_iter();
    let unread = lists.map(|(list, closed_at)| {
        let is_closed = closed_at.is_some();
        let bits = if is_closed { Bits::all_invalid(ENTRIES) } else { Bits::all_valid(ENTRIES) };
        Reading { list, bits, behind: -1, is_closed }
    });
    Ok(unread.collect())
}

/// A page of marks after `behind`, ordered by time.
async fn latest(db: &Db, behind: &Mark) -> Result<Vec<Mark>, DbErr> {
    use invalid_status::Column::{Idx, ListId, Since};
    let of_that_time = Condition::any()
        .add(ListId.gt(behind.list_id))
        .add(Condition::all().add(ListId.eq(behind.list_id)).add(Idx.gt(behind.idx)));
    let marks = invalid_status::Entity::find()
        .filter(Since.gte(behind.since))
        .filter(Condition::any().add(Since.gt(behind.since)).add(of_that_time))
        .order_by_asc(Since)
        .order_by_asc(ListId)
        .order_by_asc(Idx)
        .limit(PAGE);
    db.read(|db| async move { marks.all(&db).await }).await
}
