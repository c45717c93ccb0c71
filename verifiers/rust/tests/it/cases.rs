//! The shared cases that every verifier runs: `verifiers/vectors/cases.json`.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use signet_verifier::AccessToken;
use signet_verifier::KeySet;
use signet_verifier::Status;
use signet_verifier::Verifier;

use crate::harness::ISSUER;
use crate::harness::KEYS;
use crate::harness::NOW;
use crate::harness::header;
use crate::harness::sign;
use crate::harness::verifier;
use crate::harness::with;

static FILE: LazyLock<Value> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/cases.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
});

/// A case. For a value that the case lacks, the value that all cases of the file share is used.
pub(crate) struct Case<'f> {
    own: &'f Value,
    shared: &'f Value,
}

impl Case<'static> {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let cases = FILE["cases"].as_array().unwrap();
        cases.iter().map(|own| Self { own, shared: &FILE })
    }
}

impl<'f> Case<'f> {
    pub(crate) fn name(&self) -> &'f str {
        self.own["name"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> &'f str {
        self.own["token"].as_str().unwrap()
    }

    pub(crate) fn issuer(&self) -> &'f str {
        self.own_or_shared("issuer").as_str().unwrap()
    }

    pub(crate) fn audience(&self) -> &'f str {
        self.own_or_shared("audience").as_str().unwrap()
    }

    pub(crate) fn now(&self) -> u64 {
        self.own_or_shared("now").as_u64().unwrap()
    }

    pub(crate) fn leeway_seconds(&self) -> u64 {
        self.shared["leeway_seconds"].as_u64().unwrap()
    }

    pub(crate) fn accepts_typ_jwt(&self) -> bool {
        self.own.get("accept_typ_jwt").is_some_and(|flag| flag.as_bool().unwrap())
    }

    /// The key set in the form in which an issuer serves it.
    pub(crate) fn jwks(&self) -> String {
        match self.own_or_shared("jwks") {
            Value::String(document) => document.clone(),
            document => document.to_string(),
        }
    }

    /// The available status lists, with their URIs.
    pub(crate) fn lists(&self) -> impl Iterator<Item = (&'f str, &'f str)> {
        let lists = self.own.get("status_lists").and_then(Value::as_object);
        let served = lists.into_iter().flat_map(Map::iter);
        served.filter_map(|(uri, list)| Some((uri.as_str(), list.as_str()?)))
    }

    #[cfg(feature = "http")]
    pub(crate) fn has_own_keys(&self) -> bool {
        self.own.get("jwks").is_some()
    }

    /// A message if `outcome` differs from the expected outcome.
    pub(crate) fn mismatch(&self, outcome: Result<AccessToken, &str>) -> Option<String> {
        let expected = &self.own["expect"];
        let actual = verdict(outcome);
        (actual != *expected).then(|| format!("{}: {actual}, expected {expected}", self.name()))
    }

    fn own_or_shared(&self, name: &str) -> &'f Value {
        self.own.get(name).unwrap_or(&self.shared[name])
    }
}

/// The outcome in the form of `expect`.
fn verdict(outcome: Result<AccessToken, &str>) -> Value {
    match outcome {
        Ok(token) => claims_of(&token),
        Err(code) => json!({ "error": code }),
    }
}

fn claims_of(token: &AccessToken) -> Value {
    json!({
        "subject": token.subject(),
        "user_id": token.user_id(),
        "client_id": token.client_id(),
        "session_id": token.session_id(),
        "scope": token.scope(),
        "email": token.email(),
        "token_id": token.token_id(),
        "issued_at": token.issued_at(),
        "expires_at": token.expires_at(),
        "auth_time": token.auth_time(),
    })
}

/// Verifies the token like a service that fetches the documents itself.
fn outcome(case: &Case<'_>) -> Result<AccessToken, &'static str> {
    let mut verifier =
        Verifier::new(case.issuer(), case.audience()).leeway_seconds(case.leeway_seconds());
    if case.accepts_typ_jwt() {
        verifier = verifier.accept_typ_jwt();
    }
    let Ok(keys) = KeySet::from_json(case.jwks().as_bytes()) else {
        // As in the other languages, errors that are found without a key are reported first.
        let none = KeySet::from_json(br#"{"keys":[]}"#).unwrap();
        let error = verifier.verify(&none, case.token(), case.now()).unwrap_err().code();
        return Err(if error == "unknown_key" { "keys_unavailable" } else { error });
    };
    let token = verifier.verify(&keys, case.token(), case.now()).map_err(|error| error.code())?;
    if let Some(reference) = token.status() {
        let served = case.lists().find(|(uri, _)| *uri == reference.uri);
        let list = served
            .and_then(|(uri, list)| verifier.verify_status_list(&keys, uri, list, case.now()).ok());
        list.ok_or("status_unavailable")?.check(reference).map_err(|error| error.code())?;
    }
    Ok(token)
}

#[track_caller]
pub(crate) fn assert_no_mismatches(mismatches: &[String]) {
    assert!(mismatches.is_empty(), "{} cases\n{}", mismatches.len(), mismatches.join("\n"));
}

#[test]
fn every_shared_case_has_the_expected_outcome() {
    let mismatches: Vec<_> = Case::all().filter_map(|case| case.mismatch(outcome(&case))).collect();

    assert_no_mismatches(&mismatches);
    assert!(Case::all().count() > 500);
}

/// Writes the outcome of each case of a file, so that `tests/verifiers` can compare them.
///
/// The first line of `CASES_FILE` contains the values that all cases share. Each further line
/// contains a case. For each case, a line is written to `VERDICTS_FILE`, in the form of `expect`.
/// Without `CASES_FILE`, the test does nothing.
#[test]
fn verdicts() {
    let Some(source) = env::var_os("CASES_FILE") else { return };
    let document = fs::read_to_string(source).unwrap();
    let mut lines = document.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let shared = lines.next().unwrap();
    let mut verdicts = String::new();
    for own in lines {
        let found = outcome(&Case { own: &own, shared: &shared });
        verdicts.push_str(&verdict(found).to_string());
        verdicts.push('\n');
    }
    fs::write(env::var_os("VERDICTS_FILE").unwrap(), verdicts).unwrap();
}

/// draft-ietf-oauth-status-list §4.1 and its appendix C.
#[test]
fn status_lists_of_the_draft_are_unpacked() {
    let lists = FILE["lists"].as_array().unwrap();
    assert_eq!(lists.len(), 6);
    for packed in lists {
        let claims = json!({
            "iss": ISSUER,
            "sub": "https://id.example.test/status/1",
            "iat": NOW,
            "status_list": {"bits": packed["bits"], "lst": packed["lst"]},
        });
        let header = with(header(), "typ", json!("statuslist+jwt"));
        let token = sign(header.to_string(), claims.to_string());
        let uri = "https://id.example.test/status/1";
        let list = verifier().verify_status_list(&KEYS, uri, &token, NOW).unwrap();

        let size = packed["size"].as_u64().unwrap();
        assert_eq!(list.len(), size, "{}", packed["name"]);
        for index in 0..size {
            let listed = packed["statuses"].get(index.to_string()).and_then(Value::as_u64);
            let expected = Status::from(u8::try_from(listed.unwrap_or(0)).unwrap());
            assert_eq!(list.status(index), Some(expected), "{} {index}", packed["name"]);
        }
    }
}
