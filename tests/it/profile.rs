//! Profiles: the standard claims, changed by merge patches.

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, TestServer, Tokens};

const ADA: &str = "ada@example.test";

/// Every claim that the owner can set, with a value that is stored unchanged.
pub fn all_claims() -> Value {
    json!({
        "name": "Augusta Ada King",
        "given_name": "Augusta Ada",
        "family_name": "King",
        "middle_name": "Ada",
        "nickname": "Ada",
        "preferred_username": "ada",
        "profile": "https://ada.example/about",
        "picture": "https://ada.example/ada.jpg",
        "website": "http://ada.example/",
        "gender": "female",
        "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London",
        "locale": "en-GB",
        "phone_number": "+441632960961",
        "address": {
            "formatted": "12 St James's Square\nLondon",
            "street_address": "12 St James's Square",
            "locality": "London",
            "region": "Middlesex",
            "postal_code": "SW1Y 4JH",
            "country": "United Kingdom",
        },
    })
}

async fn patch(server: &TestServer, tokens: &Tokens, patch: Value) -> Answer {
    server.patch_me(&tokens.access_token, &patch).await
}

/// Sends a patch as text, because [`Value`] cannot represent duplicate members.
async fn patch_text(server: &TestServer, tokens: &Tokens, body: &str) -> Answer {
    let request = server.as_user(Method::PATCH, "/api/auth/me", &tokens.access_token);
    Answer::of(request.header(CONTENT_TYPE, "application/json").body(body.to_owned())).await
}

async fn me(server: &TestServer, tokens: &Tokens) -> Value {
    server.me(&tokens.access_token).await.expect_status(200).json()
}

/// The members of an account, without the members that every account has.
fn claims(account: &Value) -> Value {
    let mut account = account.as_object().unwrap().clone();
    let always = ["user_id", "email", "email_verified", "created_at", "updated_at"];
    for name in always {
        account.remove(name).unwrap();
    }
    Value::Object(account)
}

#[tokio::test]
async fn every_standard_claim_can_be_set_and_removed() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let before = me(&server, &ada).await;
    assert_eq!(claims(&before), json!({}));
    assert_eq!(before["updated_at"], before["created_at"]);
    server.advance_seconds(10);

    let set = patch(&server, &ada, all_claims()).await.expect_status(200).json();

    let mut expected = all_claims();
    expected["phone_number_verified"] = json!(false);
    assert_eq!(claims(&set), expected);
    assert_eq!(set["updated_at"], server.clock.now().to_rfc3339());
    assert_eq!(set["created_at"], before["created_at"]);
    assert_eq!(me(&server, &ada).await, set);
    assert_eq!(me(&server.restart().await, &ada).await, set);
}

/// RFC 7396 §2: `null` removes a member.
#[tokio::test]
async fn merge_patch_changes_only_the_given_members() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    patch(&server, &ada, all_claims()).await.expect_status(200);

    let patched = patch(
        &server,
        &ada,
        json!({ "name": "Ada Lovelace", "phone_number": null, "middle_name": null,
                "address": { "region": null, "locality": "Ockham" } }),
    )
    .await;

    let mut expected = all_claims();
    for removed in ["phone_number", "middle_name"] {
        expected.as_object_mut().unwrap().remove(removed);
    }
    expected["name"] = json!("Ada Lovelace");
    expected["address"].as_object_mut().unwrap().remove("region");
    expected["address"]["locality"] = json!("Ockham");
    assert_eq!(claims(&patched.expect_status(200).json()), expected);
    let nothing: serde_json::Map<String, Value> =
        all_claims().as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
    let emptied = patch(&server, &ada, Value::Object(nothing)).await;
    assert_eq!(claims(&emptied.expect_status(200).json()), json!({}));
}

/// ID-04: a patch with members that the owner may not change is rejected as a whole.
#[tokio::test]
async fn read_only_members_are_rejected() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let before = me(&server, &ada).await;

    for member in [
        "email",
        "email_verified",
        "phone_number_verified",
        "user_id",
        "sub",
        "id",
        "created_at",
        "updated_at",
        "role",
        "roles",
        "is_admin",
        "password",
        "password_hash",
        "disabled_at",
        "nobody_knows_this",
    ] {
        for value in [json!("x"), json!(true), Value::Null] {
            let body = json!({ "name": "Mallory", member: value });
            patch(&server, &ada, body).await.expect_error(400, "VALIDATION_ERROR");
        }
    }
    let body = json!({ "address": { "locality": "London", "planet": "Mars" } });
    patch(&server, &ada, body).await.expect_error(400, "VALIDATION_ERROR");
    patch(&server, &ada, json!({})).await.expect_error(400, "VALIDATION_ERROR");

    assert_eq!(me(&server, &ada).await, before);
}

/// ID-07: no claim accepts a value of another JSON type.
#[tokio::test]
async fn members_of_a_wrong_type_are_rejected() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();

    for name in all_claims().as_object().unwrap().keys() {
        for value in [json!(7), json!(true), json!([]), json!(["x"]), json!({ "x": 1 })] {
            let refused = patch(&server, &ada, json!({ name: value })).await;
            refused.expect_error(400, "VALIDATION_ERROR");
        }
    }
    for address in [json!("London"), json!(["London"]), json!([null, null]), json!(7)] {
        let refused = patch(&server, &ada, json!({ "address": address })).await;
        let error = refused.expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["error"]["fields"][0]["name"], "address");
        assert_eq!(error["error"]["fields"][0]["message"], "must be an object or null");
    }
    let refused = patch(&server, &ada, json!({ "address": { "locality": 7 } })).await;
    let error = refused.expect_error(400, "VALIDATION_ERROR");
    assert_eq!(error["error"]["fields"][0]["name"], "address.locality");
    // DS-06: duplicate members are rejected in `address`, too.
    let twice = r#"{"address":{"locality":"London","locality":"Paris"}}"#;
    patch_text(&server, &ada, twice).await.expect_error(400, "VALIDATION_ERROR");
}

/// All problems are listed at once, without repeating the input, and nothing changes.
#[tokio::test]
async fn invalid_claim_values_are_rejected() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let wrong = [
        ("name", json!("")),
        ("given_name", json!("a\u{0}b")),
        ("family_name", json!("x".repeat(256))),
        ("nickname", json!("two\nlines")),
        ("profile", json!("javascript:alert(document.cookie)")),
        ("picture", json!("data:image/svg+xml,<svg onload=alert(1)>")),
        ("website", json!("https://ada:s3cret@ada.example/")),
        ("birthdate", json!("1815-02-29")),
        ("zoneinfo", json!("../../etc/localtime")),
        ("locale", json!("en_GB")),
        ("phone_number", json!("01632 960961")),
    ];

    let body = wrong.iter().cloned().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut body = Value::Object(body);
    body["gender"] = json!("female");
    body["address"] = json!({ "country": "\u{1b}[31m", "locality": "London" });
    let refused = patch(&server, &ada, body).await;

    let error = refused.expect_error(400, "VALIDATION_ERROR");
    let fields = error["error"]["fields"].as_array().unwrap();
    let named: Vec<_> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
    let expected: Vec<_> = wrong.iter().map(|(name, _)| *name).chain(["address.country"]).collect();
    assert_eq!(named, expected);
    let text = error.to_string();
    for sent in ["alert", "s3cret", "1815", "en_GB", "localtime", "960961"] {
        assert!(!text.contains(sent), "{text}");
    }
    assert_eq!(claims(&me(&server, &ada).await), json!({}));
}

/// The patches change different members, on two instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_patches_are_all_applied() {
    let server = TestServer::start().await;
    let beside = server.another_instance().await;
    let ada = server.sign_up(ADA).await.tokens();
    let everything = all_claims();
    let members = everything.as_object().unwrap();

    let patches = members.iter().enumerate().map(|(n, (name, value))| {
        let instance = if n % 2 == 0 { &server } else { &beside };
        patch(instance, &ada, json!({ name: value }))
    });
    for answer in join_all(patches).await {
        answer.expect_status(200);
    }

    let mut expected = everything.clone();
    expected["phone_number_verified"] = json!(false);
    assert_eq!(claims(&me(&server, &ada).await), expected);
    let recorded = "auth_event WHERE type = 'profile_changed'";
    assert_eq!(server.database.count(recorded).await, i64::try_from(members.len()).unwrap());
}

/// AU-01, AU-04: one event lists the changed members, not their values.
#[tokio::test]
async fn profile_change_is_audited_without_values() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    let change = json!({ "nickname": "Enchantress", "address": { "country": "UK" } });

    patch(&server, &ada, change.clone()).await.expect_status(200);
    let once = me(&server, &ada).await;
    server.advance_seconds(10);
    let twice = patch(&server, &ada, change).await.expect_status(200).json();

    assert_eq!(once, twice, "an update without changes records no event");
    let reasons = "SELECT reason FROM auth_event WHERE type = 'profile_changed'";
    assert_eq!(server.database.column::<String>(reasons).await, ["nickname, address"]);
    let with_value = "SELECT count(*) FROM auth_event WHERE reason LIKE '%nchantress%'";
    assert_eq!(server.database.column::<i64>(with_value).await, [0]);
}

/// SS-12: an ended session cannot change the profile.
#[tokio::test]
async fn ended_session_cannot_change_the_profile() {
    let server = TestServer::start().await;
    let other = server.sign_up(ADA).await.tokens();
    let ended = server.log_in(ADA, PASSWORD).await.tokens();
    server.log_out(&ended.access_token).await.expect_status(200);

    let refused = patch(&server, &ended, json!({ "name": "Mallory" })).await;

    refused.expect_error(401, "UNAUTHORIZED");
    assert_eq!(claims(&me(&server, &other).await), json!({}));
}

/// ID-06: the profile is deleted with the account.
#[tokio::test]
async fn profile_is_deleted_with_its_account() {
    let server = TestServer::start().await;
    let ada = server.sign_up(ADA).await.tokens();
    patch(&server, &ada, all_claims()).await.expect_status(200);

    server.delete_me(&ada.access_token, PASSWORD).await.expect_status(204);

    let dump = format!("{:?}", server.database.dump().await);
    for trace in ["Augusta", "960961", "St James"] {
        assert!(!dump.contains(trace), "{trace}");
    }
    let again = server.sign_up(ADA).await.tokens();
    assert_eq!(claims(&me(&server, &again).await), json!({}));
}

/// Changes are limited per client address. Each instance counts them separately.
#[tokio::test]
async fn profile_changes_are_rate_limited() {
    let server = TestServer::with(|config| config.limits.refreshes_per_minute = 3).await;
    let ada = server.sign_up(ADA).await.tokens();
    let change = async |n: usize| {
        let request = server.request(Method::PATCH, "/api/auth/me");
        let request =
            request.bearer_auth(&ada.access_token).json(&json!({ "name": format!("{n}") }));
        Answer::of(request.header("x-forwarded-for", "203.0.113.9")).await
    };

    for n in 0..3 {
        change(n).await.expect_status(200);
    }

    change(3).await.expect_error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(me(&server, &ada).await["name"], "2");
}
