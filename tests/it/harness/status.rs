//! Status lists as a verifier reads them.

use std::io::Read;

use flate2::read::ZlibDecoder;
use serde_json::Value;

use crate::harness::forge::{decode, parts};
use crate::harness::{Answer, TestServer, eventually};

/// A fetched status list and its decoded content.
pub struct StatusList {
    pub answer: Answer,
    pub header: Value,
    pub claims: Value,
    pub bytes: Vec<u8>,
}

/// The status list reference of a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusReference {
    pub uri: String,
    pub index: usize,
}

impl StatusReference {
    /// Reads the reference from an access token.
    pub fn of(access_token: &str) -> Self {
        let status = &TestServer::claims(access_token)["status"]["status_list"];
        Self {
            uri: status["uri"].as_str().unwrap().to_owned(),
            index: usize::try_from(status["idx"].as_u64().unwrap()).unwrap(),
        }
    }

    /// The path of the list, relative to the issuer.
    pub fn path(&self) -> &str {
        self.uri.strip_prefix("https://id.example.test").unwrap()
    }
}

impl StatusList {
    pub fn of(answer: Answer) -> Self {
        answer.expect_status(200);
        let token = String::from_utf8(answer.body.clone()).unwrap();
        let (header, claims) = parts(&token);
        let packed = decode(claims["status_list"]["lst"].as_str().unwrap());
        let mut bytes = Vec::new();
        ZlibDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
        Self { answer, header, claims, bytes }
    }

    pub fn is_set(&self, index: usize) -> bool {
        self.bytes[index / 8] & (1 << (index % 8)) != 0
    }

    /// The indexes of entries whose status is not `VALID`.
    pub fn invalid(&self) -> Vec<usize> {
        (0..self.bytes.len() * 8).filter(|index| self.is_set(*index)).collect()
    }
}

impl TestServer {
    /// Fetches the list that an access token refers to.
    pub async fn status_list(&self, access_token: &str) -> StatusList {
        StatusList::of(self.get(StatusReference::of(access_token).path()).await)
    }

    /// Whether the list shows that the session of this token has ended.
    pub async fn lists_as_ended(&self, access_token: &str) -> bool {
        let list = self.status_list(access_token).await;
        list.is_set(StatusReference::of(access_token).index)
    }

    /// Waits until the list shows that the session of this token has ended.
    pub async fn wait_until_listed_as_ended(&self, access_token: &str) {
        let what = "the list says that the session has ended";
        eventually(what, async || self.lists_as_ended(access_token).await).await;
    }
}
