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

/// Cache lifetime of a status list, in seconds. It delays the effect of a logout by as much.
const LIST_MAX_AGE: u64 = 1;

/// Cache lifetime of the list aggregation, in seconds. It may be longer than that of a list,
/// because a new list is in the aggregation long before sessions refer to it.
const AGGREGATION_MAX_AGE: u64 = 60;

/// All documents of `/status` and below, for one set of lists.
struct Rendered {
    published: Arc<Published>,
    lists: BTreeMap<i32, Encodings>,
    aggregation: Document,
}

/// A status list token, plain and compressed.
#[derive(Clone)]
struct Encodings {
    token: Arc<str>,
    plain: Document,
    gzip: Option<Document>,
}

/// The documents, rendered again when the lists have changed.
pub(super) struct StatusDocuments {
    app: Arc<App>,
    rendered: ArcSwap<Rendered>,
    rendering: Mutex<()>,
}

impl StatusDocuments {
    pub(super) fn new(app: Arc<App>) -> Self {
        let nothing = Rendered {
            published: Arc::default(),
            lists: BTreeMap::new(),
            aggregation: Document::public("application/json", Vec::new(), 0),
        };
        let rendered = Rendered::of(app.status_lists.published(), &nothing, &app);
        Self { app, rendered: ArcSwap::from_pointee(rendered), rendering: Mutex::new(()) }
    }

    /// `/status`: the URIs of all lists (section 9.3).
    pub(super) fn aggregation(&self, request: &Request) -> Response {
        self.current().aggregation.answer(request)
    }

    /// `/status/{list}`: the current list (section 8.1). It has one media type, so `Accept` is
    /// ignored.
    pub(super) fn list(&self, request: &Request) -> Result<Response> {
        if requests_past_list(request.uri().query().unwrap_or_default()) {
            return Err(Error::from_status(StatusCode::NOT_IMPLEMENTED));
        }
        let rendered = self.current();
        let encodings = request.raw_path_param("list").and_then(list_number);
        let encodings = encodings.and_then(|list| rendered.lists.get(&list));
        let encodings = encodings.ok_or_else(|| Error::from_status(StatusCode::NOT_FOUND))?;
        let gzip = encodings.gzip.as_ref().filter(|_| accepts_gzip(request.headers()));
        Ok(gzip.unwrap_or(&encodings.plain).answer(request))
    }

    /// The current documents. The first request after a change renders them, which takes a
    /// millisecond. Concurrent requests get the previous documents.
    fn current(&self) -> Arc<Rendered> {
        let rendered = self.rendered.load_full();
        let published = self.app.status_lists.published();
        if Arc::ptr_eq(&rendered.published, &published) {
            return rendered;
        }
        let _guard = match self.rendering.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return rendered,
        };
        let rendered = Arc::new(Rendered::of(published, &rendered, &self.app));
        self.rendered.store(Arc::clone(&rendered));
        rendered
    }
}

impl Rendered {
    fn of(published: Arc<Published>, before: &Self, app: &App) -> Self {
        let lists = published
            .iter()
            .map(|(id, signed)| match before.lists.get(id) {
                Some(encodings) if Arc::ptr_eq(&encodings.token, &signed.token) => {
                    (*id, encodings.clone())
                }
                _ => (*id, Encodings::of(Arc::clone(&signed.token))),
            })
            .collect();
        let uris: Vec<_> = published.keys().map(|id| app.issuer.status_uri(*id)).collect();
        let aggregation = json!({ "status_lists": uris }).to_string().into_bytes();
        let aggregation = Document::public("application/json", aggregation, AGGREGATION_MAX_AGE);
        Self { published, lists, aggregation }
    }
}

impl Encodings {
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

/// Whether `Accept-Encoding` names gzip and does not refuse it (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
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

/// Whether a request is for a historical list (section 8.4). Such lists are not stored, and the
/// response must not be the current list.
fn requests_past_list(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "time")
}

/// The number of a list, if `text` is its canonical form. Other forms are refused, because the
/// `sub` of the list contains the canonical form.
fn list_number(text: &str) -> Option<i32> {
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
        let accepts = |value: &str| {
            let headers = [(header::ACCEPT_ENCODING, value.parse().unwrap())];
            accepts_gzip(&HeaderMap::from_iter(headers))
        };

        for accepted in ["gzip", "GZIP", "br, gzip", "deflate,gzip;q=0.5", "gzip; q=1", "gzip;q=x"]
        {
            assert!(accepts(accepted), "{accepted}");
        }
        for refused in ["", "br", "*", "gzip;q=0", "gzip; q=0.000", "x-gzip", "gzipped", "identity"]
        {
            assert!(!accepts(refused), "{refused}");
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
        let mut positions = noise(80_000);
        let mut positions = positions.chunks_exact_mut(4).map(|it| [it[0], it[1], it[2], it[3]]);
        let mut ended = 0;
        while ended < 10_000 {
            let position = u32::from_be_bytes(positions.next().unwrap()) % 1_000_000;
            ended += usize::from(bits.set(usize::try_from(position).unwrap()));
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
        assert_eq!(list_number("1"), Some(1));
        assert_eq!(list_number("2147483647"), Some(i32::MAX));
        for other in ["", "0", "01", "+1", "-1", "1 ", "1.0", "2147483648", "१", "1e0", "x"] {
            assert_eq!(list_number(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_time_parameter_requests_a_past_list() {
        for past in ["time=1", "time", "a=b&time=", "%74ime=1"] {
            assert!(requests_past_list(past), "{past}");
        }
        for present in ["", "times=1", "a=time", "Time=1"] {
            assert!(!requests_past_list(present), "{present}");
        }
    }
}
