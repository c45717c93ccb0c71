//! Refresh tokens. They are computed, not stored, and each is exchanged once for its successor.

mod attempt;
mod batch;
mod codec;
mod rotate;

pub use codec::{Presented, RefreshTokens};
pub use rotate::{Holder, RefreshError, Rotation};
