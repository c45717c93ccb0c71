//! OAuth 2.0 and OpenID Connect 1.0.
//!
//! The authorization code flow, and the modules of its steps:
//!
//! 1. A client redirects a browser to the authorization endpoint. It requests a scope, and possibly
//!    single [`claims`] by name. [`authorize`] checks the request: first the client and its
//!    redirect URI, then everything else.
//! 2. [`flow`] decides what is missing: a login ([`browser_session`], [`hosted_login`]), a
//!    [`consent`], or nothing. While a login is missing, the browser carries the request
//!    ([`sealed`]). While a consent is missing, the database stores it ([`pending_authorization`]).
//! 3. [`code`] creates an authorization code. The browser returns it to the client.
//! 4. The client authenticates ([`client_authentication`]) and exchanges the code
//!    ([`token_endpoint`], [`code_exchange`]). As at a login with the JSON API, a session starts,
//!    and tokens are signed ([`mint`]).
//! 5. Later, [`introspection`] describes a token to resource servers, and [`revocation`] ends its
//!    session.
//! 6. [`logout`] ends the browser session and the client sessions opened through it, and
//!    [`backchannel`] notifies the clients.
//!
//! Each step checks the current registration of the client ([`client::entitlement`]).

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
pub mod grant_error;
pub mod hosted_login;
pub mod housekeeping;
pub mod id_token;
pub mod introspection;
pub mod logout;
pub mod mint;
pub mod params;
pub mod pending_authorization;
pub mod pkce;
pub mod redirect;
pub mod request_object;
pub mod revocation;
pub mod sealed;
pub mod strict_json;
pub mod token_endpoint;
pub mod userinfo;
