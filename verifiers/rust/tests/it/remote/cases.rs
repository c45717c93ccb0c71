//! The shared cases over HTTP, as in a service.

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

/// Each new verifier reads the host's certificates: all cases would take a minute. The code under
/// test is that of the cases without HTTP; this tests whether it gets its documents.
const STEP: usize = 7;

struct At(u64);

impl Clock for At {
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
        let below = format!("/{number}");
        issuer.serve(&format!("{below}{KEYS_PATH}"), Reply::new(case.jwks()));
        for (uri, list) in case.lists() {
            let path = uri.strip_prefix(case.issuer()).unwrap_or("/elsewhere");
            issuer.serve(&format!("{below}{path}"), Reply::new(list));
        }
        let mut builder = RemoteVerifier::builder(case.issuer(), case.audience())
            .base_url(format!("http://{}{below}", issuer.address))
            .leeway_seconds(case.leeway_seconds())
            .clock(Arc::new(At(case.now())))
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
