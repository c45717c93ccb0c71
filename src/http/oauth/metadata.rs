//! The authorization server metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2): only what is
//! supported.

use serde_json::{Value, json};

use crate::domain::language::Language;
use crate::domain::oauth::assertion::ALGORITHMS;
use crate::domain::oauth::authorize::supported_prompts;
use crate::domain::oauth::client::metadata::{GRANT_TYPES, auth_methods};
use crate::domain::oauth::id_token::LEVEL;
use crate::domain::sign_up_policy::SignUpPolicy;
use crate::scope::IDENTITY;

/// The metadata of an issuer with this sign-up policy.
pub(in crate::http) fn document(issuer: &str, policy: &SignUpPolicy) -> Value {
    let at = |path: &str| format!("{issuer}{path}");
    let methods = auth_methods();
    let confidential: Vec<_> = methods.iter().filter(|it| *it != "none").collect();
    json!({
        "issuer": issuer,
        "authorization_endpoint": at("/oauth2/authorize"),
        "token_endpoint": at("/oauth2/token"),
        "userinfo_endpoint": at("/oauth2/userinfo"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "introspection_endpoint": at("/oauth2/introspect"),
        "revocation_endpoint": at("/oauth2/revoke"),
        "end_session_endpoint": at("/oauth2/logout"),
        "status_list_aggregation_endpoint": at("/status"),
        "service_documentation": at("/docs"),
        "scopes_supported": IDENTITY,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": GRANT_TYPES,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "acr_values_supported": [LEVEL],
        "prompt_values_supported": supported_prompts(policy),
        "display_values_supported": ["page"],
        "ui_locales_supported": Language::ALL.map(Language::tag),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
            "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username",
            "profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
            "email", "email_verified", "address", "phone_number", "phone_number_verified",
        ],
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}
