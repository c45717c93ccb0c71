//! Simulated users: each has an account, a client address and a chain of refresh tokens.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of all users.
const PASSWORD: &str = "Analytical-Engine-1843";

/// Number of refreshes after which a user gets a new address. It is far below the attempt limit per
/// address.
const REFRESHES_PER_ADDRESS: u32 = 100;

static ADDRESSES: AtomicU32 = AtomicU32::new(1);

/// A simulated user.
pub(crate) struct User {
    pub(crate) email: String,
    pub(crate) refresh_token: String,
    address: IpAddr,
    refreshes: u32,
}

impl User {
    /// A user whose account does not exist yet.
    pub(crate) fn new(number: usize) -> Self {
        Self {
            email: format!("user-{number}@example.test"),
            refresh_token: String::new(),
            address: fresh_address(),
            refreshes: 0,
        }
    }

    pub(crate) fn sign_up(&self) -> Vec<u8> {
        post("/api/auth/signup", fresh_address(), &credentials(&self.email))
    }

    /// A login request from a new address, so that no attempt limit per address is reached.
    pub(crate) fn log_in(&self) -> Vec<u8> {
        post("/api/auth/login", fresh_address(), &credentials(&self.email))
    }

    pub(crate) fn refresh(&mut self) -> Vec<u8> {
        self.refreshes += 1;
        if self.refreshes.is_multiple_of(REFRESHES_PER_ADDRESS) {
            self.address = fresh_address();
        }
        let body = format!(r#"{{"refresh_token":"{}"}}"#, self.refresh_token);
        post("/api/auth/refresh", self.address, &body)
    }

    /// Stores the refresh token of a response.
    pub(crate) fn store_tokens(&mut self, body: &str) {
        let token = body.split_once(r#""refresh_token":""#).and_then(|(_, it)| it.split_once('"'));
        if let Some((token, _)) = token {
            self.refresh_token.clear();
            self.refresh_token.push_str(token);
        }
    }
}

/// A well-formed refresh token with an invalid HMAC.
pub(crate) fn forged_refresh() -> Vec<u8> {
    let body = format!(r#"{{"refresh_token":"sgr_{}"}}"#, "A".repeat(76));
    post("/api/auth/refresh", fresh_address(), &body)
}

fn credentials(email: &str) -> String {
    format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#)
}

fn fresh_address() -> IpAddr {
    let [_, a, b, c] = ADDRESSES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(10, a, b, c).into()
}

fn post(path: &str, client: IpAddr, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: signet-bench\r\n\
         x-forwarded-for: {client}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
