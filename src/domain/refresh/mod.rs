//! Refresh tokens: computed, not stored, and exchanged for their successor once.

mod codec;
mod rotate;

pub use codec::{Presented, RefreshTokens};
pub use rotate::{Holder, RefreshError, rotate};
