//! Measures how long hashes of a class take on this machine.

use std::time::{Duration, Instant};

use crate::domain::password::class::Class;
use crate::domain::password::failure::Failure;
use crate::domain::password::stored::Stored;
use crate::domain::password::workspace::Workspace;

/// Number of measurements, of which the shortest counts.
const SAMPLES: usize = 3;

/// Any password; the time does not depend on it.
const PASSWORD: &[u8] = b"a password of usual length";

/// How long the check of a password against a hash of this class takes on one core. Occupies the
/// calling thread.
///
/// # Errors
/// If the hash cannot be computed.
pub fn measure(class: Class) -> Result<Duration, Failure> {
    let decoy = Stored::decoy(class)?;
    let mut workspace = Workspace::new(0, std::sync::Arc::default());
    let mut shortest = Duration::MAX;
    for _ in 0..SAMPLES {
        let began = Instant::now();
        decoy.matches(PASSWORD, &mut workspace)?;
        shortest = shortest.min(began.elapsed());
    }
    Ok(shortest)
}
