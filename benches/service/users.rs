//! Simulated users: each has an account, a client address and a chain of refresh tokens.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of all users.
const PASSWORD: &str = "Analytical-Engine-1843";

/// Number of refreshes or userinfo requests after which a user gets a new client address. It is far
/// below the limits per client address.
const REQUESTS_PER_ADDRESS: u32 = 100;

static ADDRESSES: AtomicU32 = AtomicU32::new(1);

/// A simulated user.
pub(crate) struct User {
    pub(crate) email: String,
    pub(crate) refresh_token: String,
    access_token: String,
    address: IpAddr,
    requests: u32,
}

impl User {
    /// A user whose account does not exist yet.
    pub(crate) fn new(number: usize) -> Self {
        Self {
            email: format!("user-{number}@example.test"),
            refresh_token: String::new(),
            access_token: String::new(),
            address: fresh_address(),
            requests: 0,
        }
    }

    pub(crate) fn sign_up(&self) -> Vec<u8> {
        post("/api/auth/signup", fresh_address(), &credentials(&self.email))
    }

    /// A login request from a new client address, so that no attempt limit per client address is
    /// reached.
    pub(crate) fn log_in(&self) -> Vec<u8> {
        post("/api/auth/login", fresh_address(), &credentials(&self.email))
    }

    pub(crate) fn refresh(&mut self) -> Vec<u8> {
        let body = format!(r#"{{"refresh_token":"{}"}}"#, self.refresh_token);
        post("/api/auth/refresh", self.address(), &body)
    }

    /// A request to `/oauth2/userinfo` with the newest access token.
    pub(crate) fn user_info(&mut self) -> Vec<u8> {
        format!(
            "GET /oauth2/userinfo HTTP/1.1\r\nhost: localhost\r\nuser-agent: signet-bench\r\n\
             x-forwarded-for: {}\r\nauthorization: Bearer {}\r\n\r\n",
            self.address(),
            self.access_token
        )
        .into_bytes()
    }

    fn address(&mut self) -> IpAddr {
        self.requests += 1;
        if self.requests.is_multiple_of(REQUESTS_PER_ADDRESS) {
            self.address = fresh_address();
        }
        self.address
    }

    /// Stores the tokens of a response.
    pub(crate) fn store_tokens(&mut self, body: &str) {
        for (start, stored) in [
            (r#""refresh_token":""#, &mut self.refresh_token),
            (r#""access_token":""#, &mut self.access_token),
        ] {
            let token = body.split_once(start).and_then(|(_, it)| it.split_once('"'));
            if let Some((token, _)) = token {
                stored.clear();
                stored.push_str(token);
            }
        }
    }
}

/// A refresh request with a well-formed token whose HMAC is invalid.
pub(crate) fn forged_refresh() -> Vec<u8> {
    let body = format!(r#"{{"refresh_token":"sgr_{}"}}"#, "A".repeat(76));
    post("/api/auth/refresh", fresh_address(), &body)
}

fn credentials(email: &str) -> String {
    format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#)
}

/// A client address that no other simulated client has.
pub(crate) fn fresh_address() -> IpAddr {
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
