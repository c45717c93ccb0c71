//! Refresh tokens: computed, not stored, and each exchanged once for its successor.

mod attempt;
mod batch;
mod codec;
mod rotate;

pub use codec::{Presented, RefreshTokens};
pub use rotate::{Holder, RefreshError, Rotation};
