//! Tokens with `typ` `JWT`, which a setting of the builder enables.

use crate::harness::claims;
use crate::harness::sign;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::everything_revoked;
use crate::remote::issuer::outcome;
use crate::typ_jwt::jwt_header;

#[tokio::test]
async fn typ_jwt_is_accepted_only_if_enabled() {
    let issuer = Issuer::start().await;
    let token = sign(jwt_header().to_string(), claims().to_string());

    assert_eq!(outcome(&issuer.verifier(), &token).await, "wrong_type");
    assert_eq!(issuer.requests(KEYS_PATH), 0);
    let verifier = issuer.builder().accept_typ_jwt().build().unwrap();
    assert_eq!(outcome(&verifier, &token).await, "accepted");
}

#[tokio::test]
async fn token_with_typ_jwt_can_be_revoked() {
    let issuer = Issuer::start().await;
    issuer.serve(LIST_PATH, everything_revoked());
    let token = sign(jwt_header().to_string(), claims().to_string());

    let verifier = issuer.builder().accept_typ_jwt().build().unwrap();

    assert_eq!(outcome(&verifier, &token).await, "revoked");
}
