//! The memory of a hashing thread. This is the only file that computes hashes.
//!
//! With newly allocated memory, Argon2id spends a quarter of its time on page faults, so a thread
//! retains its blocks between jobs. The contents of the blocks are handled as follows:
//!
//! - After a hash with several passes, the blocks are not wiped, and the next job overwrites them.
//!   The last pass has mixed every block with the end of the previous pass. So testing a guess
//!   against the contents still takes a full pass over the memory, while wiping would add a
//!   twentieth to the time of every hash.
//! - After a hash with one pass, the blocks are wiped when the result has been sent. The first
//!   blocks are derived directly from the password, so a guess could be tested without filling any
//!   memory.
//! - Blocks that are released, or that exceed the need of the current settings, are wiped and
//!   returned to the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::{Argon2, Block};
use zeroize::Zeroize;

use crate::domain::password::class::Class;
use crate::domain::password::digest::Digest;
use crate::domain::password::failure::Failure;

/// Maximum memory of a scrypt computation, in bytes. It exceeds the bound for stored hashes by the
/// memory that OpenSSL needs beside the N·r blocks.
const SCRYPT_MEMORY: u64 = 300 * 1_024 * 1_024;

/// The cost parameters of scrypt (RFC 7914 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScryptCost {
    /// The binary logarithm of the cost parameter N.
    pub(super) log_n: u8,
    /// The block size r.
    pub(super) block_size: u32,
    /// The parallelization p.
    pub(super) parallelism: u32,
}

/// Counters of the threads of one pool.
#[derive(Default)]
pub(super) struct Tally {
    /// Password hashes, of any kind, whose computation was started.
    pub(super) hashes_started: AtomicU64,
    /// Argon2 blocks of 1 KiB that are allocated now.
    pub(super) blocks_allocated: AtomicUsize,
}

/// The memory and measurements of a hashing thread.
pub(super) struct Workspace {
    tally: Arc<Tally>,
    /// How many blocks the current settings need. No more blocks than these are retained.
    block_count: usize,
    blocks: Option<Blocks>,
    /// Whether a guess of the last password could be tested against the retained blocks without a
    /// full pass over the memory.
    is_guess_testable: bool,
    /// How long the hashes of the current job took.
    times: Vec<(Class, Duration)>,
}

impl Workspace {
    pub(super) fn new(block_count: usize, tally: Arc<Tally>) -> Self {
        Self { tally, block_count, blocks: None, is_guess_testable: false, times: Vec::new() }
    }

    /// Computes one hash of `class` and measures it.
    pub(super) fn timed<T>(&mut self, class: Class, compute: impl FnOnce(&mut Self) -> T) -> T {
        let began = Instant::now();
        let outcome = compute(self);
        self.times.push((class, began.elapsed()));
        outcome
    }

    /// Returns the measurements since the last call.
    pub(super) fn take_times(&mut self) -> Vec<(Class, Duration)> {
        std::mem::take(&mut self.times)
    }

    /// Computes an Argon2 tag as long as `tag`.
    pub(super) fn argon2(
        &mut self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), Failure> {
        let count = argon2.params().block_count();
        let mut oversized;
        let blocks = if count > self.block_count {
            oversized = Blocks::new(count, &self.tally)?;
            &mut oversized
        } else {
            self.is_guess_testable |= argon2.params().t_cost() == 1;
            match &mut self.blocks {
                Some(retained) => retained,
                none => none.insert(Blocks::new(self.block_count, &self.tally)?),
            }
        };
        self.tally.hashes_started.fetch_add(1, Ordering::Relaxed);
        Ok(argon2.hash_password_into_with_memory(password, salt, tag, &mut blocks.0)?)
    }

    /// Checks a password against a bcrypt string. For a given salt and cost, the time is constant.
    pub(super) fn bcrypt(&self, password: &[u8], stored: &str) -> Result<bool, Failure> {
        self.tally.hashes_started.fetch_add(1, Ordering::Relaxed);
        // The system that computed the hash ended the password at a NUL character, so a password
        // that contains one must not match.
        let is_c_string = !password.contains(&0);
        Ok(bcrypt::verify(password, stored)? && is_c_string)
    }

    /// Computes a PBKDF2 key as long as `tag`.
    pub(super) fn pbkdf2(
        &self,
        digest: Digest,
        rounds: u32,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), Failure> {
        self.tally.hashes_started.fetch_add(1, Ordering::Relaxed);
        let rounds = usize::try_from(rounds).unwrap_or(usize::MAX);
        openssl::pkcs5::pbkdf2_hmac(password, salt, rounds, digest.openssl(), tag)
            .map_err(Failure::OpenSsl)
    }

    /// Computes a scrypt key as long as `tag`. OpenSSL allocates the memory for it, and wipes and
    /// frees it afterwards.
    pub(super) fn scrypt(
        &self,
        cost: ScryptCost,
        password: &[u8],
        salt: &[u8],
        tag: &mut [u8],
    ) -> Result<(), Failure> {
        self.tally.hashes_started.fetch_add(1, Ordering::Relaxed);
        let ScryptCost { log_n, block_size, parallelism } = cost;
        let (r, p) = (u64::from(block_size), u64::from(parallelism));
        let n = 1_u64.checked_shl(log_n.into()).unwrap_or(u64::MAX);
        openssl::pkcs5::scrypt(password, salt, n, r, p, SCRYPT_MEMORY, tag)
            .map_err(Failure::OpenSsl)
    }

    /// Wipes the retained blocks if a guess could be tested against them without a full pass over
    /// the memory. Called between jobs.
    pub(super) fn wipe_testable(&mut self) {
        if std::mem::take(&mut self.is_guess_testable)
            && let Some(blocks) = &mut self.blocks
        {
            blocks.wipe();
        }
    }

    #[cfg(test)]
    pub(super) fn is_wiped(&self) -> bool {
        !self.is_guess_testable
    }

    pub(super) fn holds_memory(&self) -> bool {
        self.blocks.is_some()
    }

    /// Wipes the memory and returns it to the system.
    pub(super) fn release(&mut self) {
        self.blocks = None;
    }
}

/// Argon2 memory, wiped when dropped.
struct Blocks(Vec<Block>, Arc<Tally>);

impl Blocks {
    /// If at least this number of blocks is needed, at least [`Self::MAPPED`] are allocated.
    const LARGE: usize = 1_024;

    /// glibc maps an allocation of more than 32 MiB separately, and unmaps it when it is freed.
    /// When a smaller mapped allocation is freed, glibc raises its threshold, and retains the
    /// memory of later allocations of this size. Capacity that is never accessed uses no memory.
    const MAPPED: usize = 33 * 1_024;

    fn new(count: usize, tally: &Arc<Tally>) -> Result<Self, Failure> {
        let capacity = if count < Self::LARGE { count } else { count.max(Self::MAPPED) };
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(capacity)?;
        blocks.resize(count, Block::new());
        tally.blocks_allocated.fetch_add(count, Ordering::Relaxed);
        Ok(Self(blocks, Arc::clone(tally)))
    }

    /// Overwrites the blocks, but not the capacity beyond them, which was never accessed.
    fn wipe(&mut self) {
        self.0.iter_mut().zeroize();
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.wipe();
        self.1.blocks_allocated.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use argon2::{Argon2, Block};

    use super::{Blocks, Tally, Workspace};
    use crate::domain::password::cost::Cost;

    fn argon2id(memory_kib: u32, iterations: u32) -> Argon2<'static> {
        Cost { memory_kib, iterations, parallelism: 1 }.argon2id().unwrap()
    }

    fn is_zero(block: &Block) -> bool {
        block.as_ref().iter().all(|&word| word == 0)
    }

    #[test]
    fn memory_of_a_hash_with_one_pass_is_wiped_between_jobs() {
        for (iterations, is_wiped) in [(1, true), (2, false)] {
            let mut workspace = Workspace::new(64, Arc::default());
            let argon2 = argon2id(64, iterations);
            workspace.argon2(&argon2, b"password", b"sixteen bytes ok", &mut [0; 32]).unwrap();

            workspace.wipe_testable();

            let blocks = &workspace.blocks.as_ref().unwrap().0;
            assert_eq!(blocks.iter().all(is_zero), is_wiped, "{iterations}");
        }
    }

    #[test]
    fn wiping_covers_every_block() {
        let mut blocks = Blocks::new(7, &Arc::default()).unwrap();
        for block in &mut blocks.0 {
            block.as_mut().fill(u64::MAX);
        }

        blocks.wipe();

        assert!(blocks.0.iter().all(is_zero));
    }

    /// A smaller foreign hash is computed in the retained memory.
    #[test]
    fn every_computation_is_counted_and_memory_is_reused() {
        let tally = Arc::<Tally>::default();
        let mut workspace = Workspace::new(64, Arc::clone(&tally));

        for memory_kib in [64, 8, 64] {
            let argon2 = argon2id(memory_kib, 2);
            workspace.argon2(&argon2, b"password", b"sixteen bytes ok", &mut [0; 32]).unwrap();
            assert_eq!(tally.blocks_allocated.load(Ordering::Relaxed), 64);
        }
        let stored = "$2b$05$abcdefghijklmnopqrstuuCrFm/7NsPCOWJ7h5LJAU.gwZDtudXHi";
        assert!(workspace.bcrypt(b"Correct-Horse7-Battery", stored).unwrap());

        assert_eq!(tally.hashes_started.load(Ordering::Relaxed), 4);
        drop(workspace);
        assert_eq!(tally.blocks_allocated.load(Ordering::Relaxed), 0);
    }
}
