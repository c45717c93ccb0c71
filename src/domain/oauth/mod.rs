//! OAuth 2.0 and OpenID Connect 1.0: who may have tokens for whom.
//!
//! The code flow, and where its steps are:
//!
//! 1. A client sends a browser to the authorization endpoint: [`authorize`] checks the request, the
//!    client and its redirect URI before anything that redirects. It asks by scope, or for single
//!    [`claims`].
//! 2. [`flow`] decides what is missing: a login ([`browser`], [`hosted_login`]), a [`consent`], or
//!    nothing. For a login the request waits in the browser, [`sealed`]; for a consent in the database
//!    ([`waiting`]).
//! 3. [`code`] draws a code; the browser takes it back to the client.
//! 4. The client proves who it is ([`proof`]) and redeems it ([`grant`], [`redemption`]): a session begins, as at a
//!    login over the JSON API, and tokens are signed.
//! 5. Each step asks again what the client is registered for ([`registered`]).
//! 6. [`token_state`] tells resource servers of a token, and ends it at its client's wish.
//! 7. [`logout`] ends the browser's login and all that was opened in it, and [`backchannel`] tells
//!    the clients.

pub mod assertion;
pub mod audience;
pub mod authorization_request;
pub mod authorize;
pub mod backchannel;
pub mod browser_session;
pub mod claims;
pub mod client;
pub mod client_authentication;
pub mod code;
pub mod code_exchange;
pub mod consent;
pub mod flow;
pub mod hosted_login;
pub mod housekeeping;
pub mod id_token;
pub mod introspection;
pub mod logout;
pub mod params;
pub mod pending_authorization;
pub mod pkce;
pub mod redirect;
pub mod request_object;
pub mod revocation;
pub mod sealed;
pub mod secret;
pub mod strict_json;
pub mod token_endpoint;
pub mod userinfo;
