//! The status lists as documents (draft-ietf-oauth-status-list sections 8 and 9): each list, plain
//! and compressed, rendered when the list is signed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, TryLockError};

use arc_swap::ArcSwap;
use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderMap, StatusCode, header};
use poem::{Error, Request, Response, Result};
use serde_json::json;

use crate::domain::status::Published;
use crate::http::app::App;
use crate::http::document::Document;

/// Cache lifetime of a status list, in seconds. It adds to the delay until a logout takes effect.
const LIST_MAX_AGE: u64 = 1;

/// Cache lifetime of the list aggregation, in seconds: a new list is in it long before it is used.
const AGGREGATION_MAX_AGE: u64 = 60;

/// All documents of `/status` and below, for one set of lists.
struct Made {
    of: Arc<Published>,
    lists: BTreeMap<i32, Forms>,
    aggregation: Document,
}

/// A status list token, plain and compressed.
#[derive(Clone)]
struct Forms {
    token: Arc<str>,
    plain: Document,
    gzip: Option<Document>,
}

/// The documents, rendered again when the lists have changed.
pub(super) struct StatusDocuments {
    app: Arc<App>,
    made: ArcSwap<Made>,
    making: Mutex<()>,
}

impl StatusDocuments {
    pub(super) fn new(app: Arc<App>) -> Self {
        let nothing = Made {
            of: Arc::default(),
            lists: BTreeMap::new(),
            aggregation: Document::public("application/json", Vec::new(), 0),
        };
        let made = Made::of(app.status_lists.published(), &nothing, &app);
        Self { app, made: ArcSwap::from_pointee(made), making: Mutex::new(()) }
    }

    /// `/status`: the URIs of all lists (section 9.3).
    pub(super) fn aggregation(&self, request: &Request) -> Response {
        self.current().aggregation.answer(request)
    }

    /// `/status/{list}`: the current list (section 8.1). It has one media type, so `Accept` is
    /// ignored.
    pub(super) fn list(&self, request: &Request) -> Result<Response> {
        if asks_for_the_past(request.uri().query().unwrap_or_default()) {
            return Err(Error::from_status(StatusCode::NOT_IMPLEMENTED));
        }
        let made = self.current();
        let forms = request.raw_path_param("list").and_then(number);
        let forms = forms.and_then(|list| made.lists.get(&list));
        let forms = forms.ok_or_else(|| Error::from_status(StatusCode::NOT_FOUND))?;
        let gzip = forms.gzip.as_ref().filter(|_| takes_gzip(request.headers()));
        Ok(gzip.unwrap_or(&forms.plain).answer(request))
    }

    /// The first request after a change renders the documents, which takes a millisecond.
    /// Concurrent requests get the previous ones.
    fn current(&self) -> Arc<Made> {
        let made = self.made.load_full();
        let published = self.app.status_lists.published();
        if Arc::ptr_eq(&made.of, &published) {
            return made;
        }
        let _making = match self.making.try_lock() {
            Ok(making) => making,
            Err(TryLockError::Poisoned(making)) => making.into_inner(),
            Err(TryLockError::WouldBlock) => return made,
        };
        let made = Arc::new(Made::of(published, &made, &self.app));
        self.made.store(Arc::clone(&made));
        made
    }
}

impl Made {
    fn of(published: Arc<Published>, before: &Self, app: &App) -> Self {
        let lists = published
            .iter()
            .map(|(id, signed)| match before.lists.get(id) {
                Some(forms) if Arc::ptr_eq(&forms.token, &signed.token) => (*id, forms.clone()),
                _ => (*id, Forms::of(Arc::clone(&signed.token))),
            })
            .collect();
        let uris: Vec<_> = published.keys().map(|id| app.issuer.status_uri(*id)).collect();
        let aggregation = json!({ "status_lists": uris }).to_string().into_bytes();
        let aggregation = Document::public("application/json", aggregation, AGGREGATION_MAX_AGE);
        Self { of: published, lists, aggregation }
    }
}

impl Forms {
    fn of(token: Arc<str>) -> Self {
        let document = |body| {
            Document::public("application/statuslist+jwt", body, LIST_MAX_AGE)
                .with_header(header::VARY, "accept-encoding")
        };
        let gzip = compressed(token.as_bytes());
        let gzip = gzip.inspect_err(|error| tracing::warn!(%error, "a list is not compressed"));
        let gzip = gzip.ok().map(document);
        Self {
            plain: document(token.as_bytes().to_vec()),
            gzip: gzip.map(|it| it.with_header(header::CONTENT_ENCODING, "gzip")),
            token,
        }
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Whether the client accepts gzip (RFC 9110 §12.5.3); not if `Accept-Encoding` does not name it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let sent = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    sent.flat_map(|list| list.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts.any(|parameter| {
            let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        is_gzip && !is_refused
    })
}

/// Section 8.4: a request for a historical list, which is not stored, must not get the current one.
fn asks_for_the_past(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "time")
}

/// A list's number in canonical form: the `sub` of the list contains it byte for byte.
fn number(text: &str) -> Option<i32> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_canonical)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::domain::status::{Bits, ENTRIES};

    #[test]
    fn gzip_is_sent_only_if_accepted_by_name() {
        let takes = |value: &str| {
            let headers = [(header::ACCEPT_ENCODING, value.parse().unwrap())];
            takes_gzip(&HeaderMap::from_iter(headers))
        };

        for accepted in ["gzip", "GZIP", "br, gzip", "deflate,gzip;q=0.5", "gzip; q=1", "gzip;q=x"]
        {
            assert!(takes(accepted), "{accepted}");
        }
        for refused in ["", "br", "*", "gzip;q=0", "gzip; q=0.000", "x-gzip", "gzipped", "identity"]
        {
            assert!(!takes(refused), "{refused}");
        }
    }

    /// Pseudo-random bytes, the same in every run (Knuth's 64-bit multiplier).
    fn noise(bytes: usize) -> Vec<u8> {
        let next = |state: &u64| {
            Some(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407),
            )
        };
        let states = std::iter::successors(Some(1), next);
        states.map(|state| state.to_be_bytes()[1]).skip(1).take(bytes).collect()
    }

    /// For a million sessions of which one in a hundred has ended, a verifier fetches less than 20
    /// KB.
    #[test]
    fn list_of_a_million_sessions_with_one_percent_ended_is_below_20_kb() {
        let mut bits = Bits::all_valid(ENTRIES);
        let mut places = noise(80_000);
        let mut places = places.chunks_exact_mut(4).map(|it| [it[0], it[1], it[2], it[3]]);
        let mut ended = 0;
        while ended < 10_000 {
            let place = u32::from_be_bytes(places.next().unwrap()) % 1_000_000;
            ended += usize::from(bits.set(usize::try_from(place).unwrap()));
        }
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kid = part(&noise(32));
        let header = json!({ "alg": "RS256", "typ": "statuslist+jwt", "kid": kid }).to_string();
        let claims = json!({
            "sub": "https://id.example.test/status/1",
            "iat": 1_800_000_000,
            "exp": 1_800_003_600,
            "ttl": 10,
            "status_list": { "bits": 1, "lst": bits.to_lst().unwrap() },
        });
        let claims = claims.to_string();
        let [header, claims, signature] =
            [header.as_bytes(), claims.as_bytes(), &noise(256)].map(part);
        let token = format!("{header}.{claims}.{signature}");

        let sent = compressed(token.as_bytes()).unwrap().len();

        assert!(sent < 20_000, "{sent} bytes");
    }

    #[test]
    fn list_number_has_one_spelling() {
        assert_eq!(number("1"), Some(1));
        assert_eq!(number("2147483647"), Some(i32::MAX));
        for other in ["", "0", "01", "+1", "-1", "1 ", "1.0", "2147483648", "१", "1e0", "x"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_time_parameter_requests_a_past_list() {
        for past in ["time=1", "time", "a=b&time=", "%74ime=1"] {
            assert!(asks_for_the_past(past), "{past}");
        }
        for present in ["", "times=1", "a=time", "Time=1"] {
            assert!(!asks_for_the_past(present), "{present}");
        }
    }
}
