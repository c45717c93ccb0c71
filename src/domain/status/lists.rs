//! Status lists as this instance publishes them: bits from the database, signed periodically.
//!
//! Each second, an instance reads the marks of the last two minutes (the long overlap). While these
//! are more than [`MANY`], it reads them only once a minute, and in the other seconds reads only
//! the marks since its last read, with a short overlap. It reads all marks at the start and after a
//! failure. It also reads all marks again in the background, page by page, so that no query is
//! slow.
//!
//! It signs a list again when the list has changed, and when the signature is old. Verifiers may
//! use a list until its `exp`, so they can work through an outage nearly as long as the lifetime of
//! a list.

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

/// The time by which a read overlaps the previous read. The timestamp of a mark is taken before the
/// commit, but the mark becomes visible after the commit. So the overlap must cover slow commits
/// and clock skew.
const LONG_OVERLAP: Duration = Duration::from_mins(2);

/// The overlap after a read that found more than [`MANY`] marks, in addition to the longest time
/// that a request waits for the database. The sum must exceed the duration of a commit.
const SHORT_OVERLAP: Duration = Duration::from_secs(2);

/// If a read finds more marks than this, the next reads have the short overlap.
const MANY: usize = 1_000;

/// The interval of reads with the long overlap, and of background reads of all marks.
const ROUND_INTERVAL: Duration = Duration::from_mins(1);

/// If the clock was set back by more than this, all marks are read again, because new marks may
/// have timestamps before the last read.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Marks per page.
const PAGE: u64 = 20_000;

/// How long reads may fail before the instance counts as not ready.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// An unchanged list is signed again after its lifetime divided by this number.
const RENEWAL_DIVISOR: u32 = 12;

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
    /// When the published lists were last known to be complete, by the monotonic clock.
    read_at: std::sync::Mutex<Instant>,
    /// The data from which the lists are made. Only the task that updates the lists uses it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The lists, by number.
    bits: BTreeMap<i32, Bits>,
    /// The numbers of the lists that have changed since they were signed.
    changed: Vec<i32>,
    /// The last read. `None` if all marks must be read.
    last_read: Option<LastRead>,
    /// The lists that are being read again page by page.
    background: BackgroundRead,
}

#[derive(Clone, Copy)]
struct LastRead {
    at: Timestamp,
    /// When the last read with the long overlap was.
    long_overlap_at: Timestamp,
    /// Whether the last read with the long overlap found many marks.
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
            read_at: std::sync::Mutex::new(Instant::now()),
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
    /// See [`ListError`]. The lists then stay published. If some marks were read before the error,
    /// the lists with these marks are published.
    pub async fn reload(&self, db: &Db, issuer: &Issuer, now: Timestamp) -> Result<(), ListError> {
        let mut state = self.state.lock().await;
        let read_at = Instant::now();
        // Marks that were read are published even if a later read failed. If no mark was read, no
        // list is signed again, because the lists may lack other ended sessions.
        let read = state.read_marks(db, now).await;
        if read.is_ok() || !state.changed.is_empty() {
            self.sign(&mut state, issuer, now, read.is_ok())?;
        }
        read?;
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = read_at;
        Ok(())
    }

    /// Whether the published lists include recent logouts: marks were read in the last 30 seconds.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let read_at = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        read_at.elapsed() < STALE_AFTER
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

    /// Whether the signature of an unchanged list is recent enough and made with the current key.
    fn is_recent(&self, signed: &SignedList, issuer: &Issuer, now: Timestamp) -> bool {
        let old = self.settings.status_list_life() / RENEWAL_DIVISOR;
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
    /// Reads the marks since the last read, and then one page of the background read. The latest
    /// marks are read first, so that they are not delayed. Reads all marks if the time of the last
    /// read is not known, or a list is new.
    async fn read_marks(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        // If this read fails, `last_read` stays empty, so the next call reads all marks: during an
        // outage, a commit may take longer than any overlap.
        let before = self.last_read.take().filter(|before| now.plus(CLOCK_TOLERANCE) >= before.at);
        let mut read = LastRead { at: now, long_overlap_at: now, has_many: false };
        let mut knows_all_lists = false;
        if let Some(before) = before {
            let has_short_overlap =
                before.has_many && now.since(before.long_overlap_at) < ROUND_INTERVAL;
            let since = if has_short_overlap {
                before.at.min(now).minus(db.wait() + SHORT_OVERLAP)
            } else {
                before.long_overlap_at.min(now).minus(LONG_OVERLAP)
            };
            let found = self.add_latest(db, since).await?;
            knows_all_lists = found.is_some();
            read.has_many = found.is_some_and(|number| number > MANY);
            if has_short_overlap {
                read = LastRead { at: now, ..before };
            }
        }
        if knows_all_lists {
            self.read_background_page(db, now).await?;
        } else {
            self.read_all(db).await?;
        }
        self.last_read = Some(read);
        Ok(())
    }

    /// Reads the marks since `since`, and adds them to the lists. Returns the number of these
    /// marks, or `None` if a mark belongs to an unknown list.
    async fn add_latest(&mut self, db: &Db, since: Timestamp) -> Result<Option<usize>, DbErr> {
        let mut after = Mark { since, list_id: i32::MIN, idx: i32::MIN };
        let mut number = 0;
        loop {
            let page = latest(db, &after).await?;
            number += page.len();
            after = page.last().cloned().unwrap_or(after);
            let is_all = is_last_page(page.len());
            if !page.iter().all(|mark| self.add(mark)) {
                return Ok(None);
            }
            if is_all {
                return Ok(Some(number));
            }
        }
    }

    /// Adds a mark to its list. Returns false if the list is unknown.
    fn add(&mut self, mark: &Mark) -> bool {
        let Some(bits) = self.bits.get_mut(&mark.list_id) else { return false };
        if set(bits, mark.idx) && !self.changed.contains(&mark.list_id) {
            self.changed.push(mark.list_id);
        }
        // The background read may already have passed the position of this mark.
        if let Some(reading) = self.background.lists.front_mut()
            && reading.list == mark.list_id
        {
            set(&mut reading.bits, mark.idx);
        }
        true
    }

    async fn read_all(&mut self, db: &Db) -> Result<(), DbErr> {
        let mut lists = BTreeMap::new();
        for mut reading in unread_lists(db).await? {
            while !reading.read_page(db).await? {}
            lists.insert(reading.list, reading.bits);
        }
        let differs = |id: &i32, bits: &Bits| self.bits.get(id) != Some(bits);
        let changed = lists.iter().filter(|(id, bits)| differs(id, bits)).map(|(id, _)| *id);
        self.changed.extend(changed.collect::<Vec<_>>());
        self.bits = lists;
        self.background = BackgroundRead::default();
        Ok(())
    }

    /// Reads one page of the background read. The background read finds marks that other reads
    /// missed, and removes marks that were deleted. It starts at most once a minute, after the
    /// previous background read is complete.
    async fn read_background_page(&mut self, db: &Db, now: Timestamp) -> Result<(), DbErr> {
        if self.background.lists.is_empty() {
            if self
                .background
                .began_at
                .is_some_and(|at| at <= now && now.since(at) < ROUND_INTERVAL)
            {
                return Ok(());
            }
            let lists = unread_lists(db).await?;
            if lists.iter().any(|reading| !self.bits.contains_key(&reading.list)) {
                return self.read_all(db).await;
            }
            self.bits.retain(|id, _| lists.iter().any(|reading| reading.list == *id));
            self.background = BackgroundRead { lists, began_at: Some(now) };
        }
        let Some(reading) = self.background.lists.front_mut() else { return Ok(()) };
        if !reading.read_page(db).await? {
            return Ok(());
        }
        if let Some(ListRead { list, bits, .. }) = self.background.lists.pop_front()
            && self.bits.get(&list) != Some(&bits)
        {
            self.bits.insert(list, bits);
            self.changed.push(list);
        }
        Ok(())
    }
}

/// A background read of all marks.
#[derive(Default)]
struct BackgroundRead {
    /// The lists that have not been completely read. The first may have been partly read.
    lists: VecDeque<ListRead>,
    began_at: Option<Timestamp>,
}

/// A list whose marks are being read.
struct ListRead {
    list: i32,
    bits: Bits,
    /// The index of the last mark that was read.
    after: i32,
    /// Whether the list is closed. All entries of a closed list are invalid, even entries without a
    /// mark.
    is_closed: bool,
}

impl ListRead {
    /// Reads the next page of marks. Returns true if it was the last page.
    async fn read_page(&mut self, db: &Db) -> Result<bool, DbErr> {
        use invalid_status::Column::{Idx, ListId};
        if self.is_closed {
            return Ok(true);
        }
        let marks = invalid_status::Entity::find().select_only().column(Idx);
        let marks = marks.filter(ListId.eq(self.list)).filter(Idx.gt(self.after));
        let page = marks.order_by_asc(Idx).limit(PAGE).into_tuple::<i32>();
        let page = db.read(|db| async move { page.all(&db).await }).await?;
        self.after = page.last().copied().unwrap_or(self.after);
        let is_all = is_last_page(page.len());
        for index in page {
            set(&mut self.bits, index);
        }
        Ok(is_all)
    }
}

fn set(bits: &mut Bits, index: i32) -> bool {
    usize::try_from(index).is_ok_and(|index| bits.set(index))
}

fn is_last_page(marks: usize) -> bool {
    u64::try_from(marks).is_ok_and(|marks| marks < PAGE)
}

/// All lists, before the first page of their marks is read.
async fn unread_lists(db: &Db) -> Result<VecDeque<ListRead>, DbErr> {
    use status_list::Column::{ClosedAt, Id};
    let lists = status_list::Entity::find().select_only().columns([Id, ClosedAt]).order_by_asc(Id);
    let lists = lists.into_tuple::<(i32, Option<Timestamp>)>();
    let lists = db.read(|db| async move { lists.all(&db).await }).await?.into_iter();
    let unread = lists.map(|(list, closed_at)| {
        let is_closed = closed_at.is_some();
        let bits = if is_closed { Bits::all_invalid(ENTRIES) } else { Bits::all_valid(ENTRIES) };
        ListRead { list, bits, after: -1, is_closed }
    });
    Ok(unread.collect())
}

/// The next page of marks after the mark `after`, ordered by time, list and index.
async fn latest(db: &Db, after: &Mark) -> Result<Vec<Mark>, DbErr> {
    use invalid_status::Column::{Idx, ListId, Since};
    let is_next_position = Condition::any()
        .add(ListId.gt(after.list_id))
        .add(Condition::all().add(ListId.eq(after.list_id)).add(Idx.gt(after.idx)));
    let marks = invalid_status::Entity::find()
        .filter(Since.gte(after.since))
        .filter(Condition::any().add(Since.gt(after.since)).add(is_next_position))
        .order_by_asc(Since)
        .order_by_asc(ListId)
        .order_by_asc(Idx)
        .limit(PAGE);
    db.read(|db| async move { marks.all(&db).await }).await
}
