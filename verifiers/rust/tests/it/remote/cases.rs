//! The shared cases with documents that are fetched over HTTP.

use std::sync::Arc;
use std::time::Duration;

use signet_verifier::Clock;
use signet_verifier::RemoteError;
use signet_verifier::RemoteVerifier;

use crate::cases::Case;
use crate::cases::assert_no_mismatches;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::Reply;

/// Only every seventh case is tested, because each new verifier reads the host's certificates, and
/// all cases would take a minute. The checks themselves are tested without HTTP. This test shows
/// that they get the right documents.
const STEP: usize = 7;

/// A clock that always shows this time.
struct FixedClock(u64);

impl Clock for FixedClock {
    fn unix_seconds(&self) -> u64 {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

#[tokio::test]
async fn shared_cases_have_the_expected_outcome_over_http() {
    let issuer = Issuer::empty().await;
    let mut mismatches = Vec::new();
    let fetching = Case::all().filter(|case| case.lists().next().is_some() || case.has_own_keys());
    for (number, case) in fetching.step_by(STEP).enumerate() {
        let base_path = format!("/{number}");
        issuer.serve(&format!("{base_path}{KEYS_PATH}"), Reply::new(case.jwks()));
        for (uri, list) in case.lists() {
            let path = uri.strip_prefix(case.issuer()).unwrap_or("/elsewhere");
            issuer.serve(&format!("{base_path}{path}"), Reply::new(list));
        }
        let mut builder = RemoteVerifier::builder(case.issuer(), case.audience())
            .base_url(format!("http://{}{base_path}", issuer.address))
            .leeway_seconds(case.leeway_seconds())
            .clock(Arc::new(FixedClock(case.now())))
            .no_proxy();
        if case.accepts_typ_jwt() {
            builder = builder.accept_typ_jwt();
        }
        let verifier = builder.build().unwrap();

        let outcome = verifier.verify(case.token()).await;

        mismatches.extend(case.mismatch(outcome.as_ref().cloned().map_err(RemoteError::code)));
    }
    assert_no_mismatches(&mismatches);
}
