//! The page on which users edit their profile.

use serde_json::{Value, json};

use crate::harness::oauth::{Browser, ISSUER};
use crate::harness::{Answer, PASSWORD, TestServer, Tokens};
use crate::profile::all_claims;

const ADA: &str = "ada@example.test";

/// Ada's account: a browser and a session of the API.
async fn logged_in(server: &TestServer) -> (Browser<'_>, Tokens) {
    let tokens = server.sign_up(ADA).await.tokens();
    let mut browser = Browser::of(server);
    let page = browser.get("/login").await;
    let typed = [("username", ADA), ("password", PASSWORD)];
    browser.submit("/login", &page, &typed).await.expect_status(303);
    (browser, tokens)
}

/// The claims as fields of the form.
fn fields_of(claims: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (name, value) in claims.as_object().unwrap() {
        match value {
            Value::Object(members) => fields.extend(members.iter().map(|(member, value)| {
                (format!("{name}.{member}"), value.as_str().unwrap().to_owned())
            })),
            value => fields.push((name.clone(), value.as_str().unwrap().to_owned())),
        }
    }
    fields
}

/// Opens the page and submits it with these values.
async fn save(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> Answer {
    let page = browser.get("/edit-profile").await;
    page.expect_status(200);
    browser.submit("/edit-profile", &page, fields).await
}

/// The claims that the API returns.
async fn claims(server: &TestServer, tokens: &Tokens) -> Value {
    let mut account = server.me(&tokens.access_token).await.expect_status(200).json();
    let members = account.as_object_mut().unwrap();
    for name in ["user_id", "email", "email_verified", "created_at", "updated_at"] {
        members.remove(name).unwrap();
    }
    members.remove("phone_number_verified");
    account
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The text of the error message with this id.
fn problem(page: &Answer, id: &str) -> Option<String> {
    let html = page.html();
    let (_, rest) = html.split_once(&format!("<p id=\"{id}\" class=\"problem\">"))?;
    Some(rest.split('<').next().unwrap().to_owned())
}

/// AP-03
#[tokio::test]
async fn every_claim_can_be_set_shown_and_removed_on_the_page() {
    let server = TestServer::start().await;
    let (mut browser, tokens) = logged_in(&server).await;
    let fields = fields_of(&all_claims());

    let saved = save(&mut browser, &borrowed(&fields)).await;

    assert_eq!(saved.location(), format!("{ISSUER}/account?done=profile"));
    assert_eq!(claims(&server, &tokens).await, all_claims());
    let account = browser.get("/account").await.html();
    let form = browser.get("/edit-profile").await.html();
    for (name, value) in &fields {
        let value = value.replace('\'', "&#39;");
        assert!(account.contains(&format!("<dd>{value}</dd>")), "{name}: {account}");
        assert!(form.contains(&value), "{name}: {form}");
    }
    assert!(form.contains("<option value=\"en-GB\" lang=\"en-GB\" selected>"), "{form}");
    let event = "SELECT reason FROM auth_event WHERE type = 'profile_changed'";
    let reasons: Vec<String> = server.database.column(event).await;
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].ends_with(", locale, phone_number, address"), "{reasons:?}");

    let nothing: Vec<_> = fields.iter().map(|(name, _)| (name.as_str(), " ")).collect();
    save(&mut browser, &nothing).await.expect_status(303);
    assert_eq!(claims(&server, &tokens).await, json!({}));
}

/// AP-03: each error is next to its field, the typed values are kept, and nothing is changed.
#[tokio::test]
async fn invalid_profile_shows_each_error_at_its_field() {
    let server = TestServer::start().await;
    let (mut browser, tokens) = logged_in(&server).await;
    let typed = [
        ("name", "Ada \u{202e}"),
        ("nickname", "Ada"),
        ("website", "javascript:alert(1)"),
        ("birthdate", "10.12.1815"),
        ("address.country", "<script>\u{7}"),
    ];

    let refused = save(&mut browser, &typed).await;

    refused.expect_status(400);
    let html = refused.html();
    assert!(html.contains("<title>Error: Your profile"), "{html}");
    assert_eq!(
        problem(&refused, "name-problem").as_deref(),
        Some("This must not contain invisible characters or text direction controls.")
    );
    assert_eq!(
        problem(&refused, "website-problem").as_deref(),
        Some("This must be an http or https URL without a user name.")
    );
    assert!(problem(&refused, "birthdate-problem").unwrap().contains("YYYY-MM-DD"));
    assert!(problem(&refused, "address-country-problem").is_some());
    assert_eq!(problem(&refused, "nickname-problem"), None);
    assert_eq!(html.matches(" autofocus").count(), 1);
    assert!(html.contains("value=\"javascript:alert(1)\"") && html.contains("value=\"Ada\""));
    assert!(!html.contains("<script>"), "{html}");
    assert_eq!(claims(&server, &tokens).await, json!({}));

    // The page with the errors can be submitted again.
    let corrected = [("name", "Ada"), ("nickname", "Ada"), ("website", "")];
    let saved = browser.submit("/edit-profile", &refused, &corrected).await;
    saved.expect_status(303);
    assert_eq!(claims(&server, &tokens).await, json!({ "name": "Ada", "nickname": "Ada" }));
}

/// AP-03: only changed fields are stored, so a form that was open for long does not undo later
/// changes.
#[tokio::test]
async fn form_that_was_open_for_long_undoes_no_other_change() {
    let server = TestServer::start().await;
    let (mut browser, tokens) = logged_in(&server).await;
    let before = json!({ "name": "Ada", "nickname": "A", "address": { "locality": "London" } });
    server.patch_me(&tokens.access_token, &before).await.expect_status(200);
    let page = browser.get("/edit-profile").await;
    let later = json!({ "name": "Augusta Ada", "address": { "country": "UK" } });
    server.patch_me(&tokens.access_token, &later).await.expect_status(200);

    let typed = [
        ("name", "Ada"),
        ("nickname", "Countess"),
        ("address.locality", "London"),
        ("address.country", ""),
    ];
    browser.submit("/edit-profile", &page, &typed).await.expect_status(303);

    let expected = json!({ "name": "Augusta Ada", "nickname": "Countess",
                           "address": { "locality": "London", "country": "UK" } });
    assert_eq!(claims(&server, &tokens).await, expected);
}

/// DS-06: the largest valid profile fits into the form, and a longer value is refused at its field.
#[tokio::test]
async fn largest_profile_fits_into_the_form() {
    let server = TestServer::start().await;
    let (mut browser, tokens) = logged_in(&server).await;
    let line = "\u{1f9ee}".repeat(255);
    let lines = "\u{1f9ee}".repeat(1_024);
    let url = format!("https://ada.example/{}", "x".repeat(2_028));
    let texts = [
        "name",
        "given_name",
        "middle_name",
        "family_name",
        "nickname",
        "preferred_username",
        "gender",
        "address.postal_code",
        "address.locality",
        "address.region",
        "address.country",
    ];
    let mut fields: Vec<_> = texts.map(|name| (name, line.as_str())).to_vec();
    fields.extend(["website", "profile", "picture"].map(|name| (name, url.as_str())));
    fields.extend(["address.street_address", "address.formatted"].map(|name| (name, &*lines)));
    save(&mut browser, &fields).await.expect_status(303);

    let again = save(&mut browser, &fields).await;

    assert_eq!(again.location(), format!("{ISSUER}/account?done=profile"));
    assert_eq!(claims(&server, &tokens).await["address"]["formatted"], lines);
    let too_long = save(&mut browser, &[("gender", &"x".repeat(256))]).await;
    too_long.expect_status(400);
    let text = "This must be at most 255 characters.";
    assert_eq!(problem(&too_long, "gender-problem").as_deref(), Some(text));
}

/// AT-10: a login that has ended cannot change the profile.
#[tokio::test]
async fn ended_login_cannot_change_the_profile() {
    let server = TestServer::start().await;
    let (mut browser, tokens) = logged_in(&server).await;
    let page = browser.get("/edit-profile").await;
    server.end_other_sessions(&tokens.access_token).await.expect_status(204);

    let answer = browser.submit("/edit-profile", &page, &[("name", "Ada")]).await;

    assert_eq!(answer.location(), format!("{ISSUER}/login?then=edit-profile"));
    assert_eq!(claims(&server, &tokens).await, json!({}));
}
