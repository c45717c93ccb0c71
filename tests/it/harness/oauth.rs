//! OAuth clients, and a browser that submits the forms of the hosted pages.

use std::collections::BTreeMap;

use reqwest::header::{ACCEPT_LANGUAGE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use url::{Url, form_urlencoded};

use crate::harness::{Answer, PASSWORD, Program, TestServer};

/// The issuer of every test server.
pub const ISSUER: &str = "https://id.example.test";

/// The redirect URI of the test's web client.
pub const CALLBACK: &str = "https://rp.example/cb";

/// All hosted pages.
pub const PAGES: [&str; 14] = [
    "/login",
    "/signup",
    "/consent",
    "/logout",
    "/account",
    "/edit-profile",
    "/change-password",
    "/forgot-password",
    "/reset-password",
    "/change-email",
    "/verify-email",
    "/download-data",
    "/delete-account",
    "/oauth2/logout",
];

/// The PKCE verifier and challenge of RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The registration of a web client that needs no consent, for
/// [`TestServer::register_clients`]. Tests may append lines.
pub const WEB_CLIENT: &str = r#"
[[client]]
client_id = "web"
client_name = "Web <Shop>"
redirect_uris = ["https://rp.example/cb"]
post_logout_redirect_uris = ["https://rp.example/bye"]
grant_types = ["authorization_code", "refresh_token"]
scope = "openid email offline_access tasks:read"
audiences = ["https://api.example.test"]
consent = "skip"
"#;

/// A registered client (relying party).
#[derive(Clone, Debug)]
pub struct Rp {
    pub id: String,
    pub secret: Option<String>,
}

impl TestServer {
    /// Registers the clients of a TOML file, in file order.
    pub async fn register_clients(&self, toml: &str) -> Vec<Rp> {
        let file = self.database.directory().join("clients.toml");
        std::fs::write(&file, toml).unwrap();
        let program = Program::new(&self.database);
        let output = program.run(&["client", "apply", file.to_str().unwrap()]).await;
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let lines = printed.lines().map(|line| line.split(' ').map(str::to_owned));
        lines.map(|mut words| Rp { id: words.next().unwrap(), secret: words.nth(1) }).collect()
    }

    /// Registers [`WEB_CLIENT`].
    pub async fn register_web_client(&self) -> Rp {
        self.register_clients(WEB_CLIENT).await.remove(0)
    }

    /// A POST request with a form, from a new client address.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request(Method::POST, path)
            .header("x-forwarded-for", self.new_client_address())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Sends a POST request of a client with a form, authenticated by the default method.
    pub async fn as_client(&self, rp: &Rp, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.form(path, fields);
        Answer::of(request.basic_auth(&rp.id, rp.secret.as_ref())).await
    }

    /// Sends a token request.
    pub async fn token(&self, rp: &Rp, fields: &[(&str, &str)]) -> Answer {
        self.as_client(rp, "/oauth2/token", fields).await
    }

    /// Exchanges a code for tokens.
    pub async fn redeem(&self, rp: &Rp, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(rp, &fields).await
    }

    /// `GET /oauth2/userinfo` with a bearer token.
    pub async fn userinfo(&self, access_token: &str) -> Answer {
        let request = self.request(Method::GET, "/oauth2/userinfo");
        Answer::of(request.bearer_auth(access_token)).await
    }

    /// The introspection response for a token.
    pub async fn introspect(&self, rp: &Rp, token: &str) -> serde_json::Value {
        let answer = self.as_client(rp, "/oauth2/introspect", &[("token", token)]).await;
        answer.expect_status(200).json()
    }
}

impl Answer {
    /// Asserts an OAuth error response.
    #[track_caller]
    pub fn expect_oauth_error(&self, status: u16, error: &str) -> &Self {
        self.expect_status(status);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        let body = self.json();
        assert_eq!(body["error"], error, "{body}");
        assert_permitted_characters(body["error_description"].as_str().unwrap());
        self
    }

    /// A string member of the body.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let body = self.json();
        body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
    }

    /// The target of a redirect, which must be a 303: only a 303 guarantees that the fields of a
    /// form, such as a password, are not sent again (MUST-053, RU-06).
    #[track_caller]
    pub fn location(&self) -> String {
        self.expect_status(303);
        let location = self.header(LOCATION.as_str());
        // Redirects between our pages are relative: the browser may use another host name.
        let is_absolute = Url::parse(location).is_ok();
        if is_absolute {
            location.to_owned()
        } else {
            format!("{ISSUER}/{}", location.trim_start_matches("../"))
        }
    }

    /// The parameters of a redirect to the client's redirect URI. Asserts that `iss` is present
    /// once (MUST-044, CO-09), and that errors have only permitted characters (MUST-042).
    #[track_caller]
    pub fn sent_to(&self, uri: &str) -> BTreeMap<String, String> {
        let location = self.location();
        assert!(location.starts_with(uri), "{location}");
        let url = Url::parse(&location).unwrap();
        assert_eq!(url.fragment(), None);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let parameters: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(parameters.len(), pairs.len(), "duplicate parameter: {location}");
        assert_eq!(parameters["iss"], ISSUER);
        for name in ["error", "error_description"] {
            parameters.get(name).iter().for_each(|text| assert_permitted_characters(text));
        }
        parameters
    }

    /// Asserts that an authorization request got the login page. A hidden field contains the
    /// request, and no URL contains any part of it.
    #[track_caller]
    pub fn expect_login_page(&self) -> &Self {
        self.expect_status(200);
        let html = self.html();
        assert!(html.contains("<form method=\"post\" action=\"../login\">"), "{html}");
        assert!(flow(self).starts_with("v1."), "{html}");
        assert!(!html.contains("?flow="), "{html}");
        self
    }

    /// The HTML of a page.
    #[track_caller]
    pub fn html(&self) -> String {
        assert!(self.header("content-type").starts_with("text/html"), "{self:?}");
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Asserts that an error text has only permitted characters (RFC 6749 §4.1.2.1, §5.2).
#[track_caller]
fn assert_permitted_characters(text: &str) {
    let is_permitted = text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    assert!(is_permitted, "{text:?}");
}

/// A browser with one cookie. It does not follow redirects.
pub struct Browser<'s> {
    server: &'s TestServer,
    http: reqwest::Client,
    pub cookie: Option<String>,
    /// The value of `Accept-Language`; empty if it is not sent.
    pub languages: &'static str,
}

/// The query of an authorization request of the web client, as common libraries send it. `more`
/// replaces parameters; the value `-` removes one.
pub fn authorization_query(more: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", "web"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid email"),
        ("state", "af0ifjsldkj"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in more {
        fields.retain(|(known, _)| known != name);
        if *value != "-" {
            fields.push((name, value));
        }
    }
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl<'s> Browser<'s> {
    pub fn of(server: &'s TestServer) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { server, http, cookie: None, languages: "" }
    }

    /// A request to a URL of the server, without the cookie, which [`Self::send`] adds.
    pub fn request(&self, method: Method, target: &str) -> RequestBuilder {
        let url = self.server.url(target.strip_prefix(ISSUER).unwrap_or(target));
        self.http.request(method, url)
    }

    /// Opens a URL of the server: a path, or the target of a redirect.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.send(self.request(Method::GET, target)).await
    }

    /// A POST request with the given fields, without the cookie, which [`Self::send`] adds.
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Sends a POST request with the given fields.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.form(path, fields)).await
    }

    pub async fn send(&mut self, mut request: RequestBuilder) -> Answer {
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        if !self.languages.is_empty() {
            request = request.header(ACCEPT_LANGUAGE, self.languages);
        }
        let answer =
            Answer::of(request.header("x-forwarded-for", self.server.new_client_address())).await;
        if let Some(set) = answer.headers.get(SET_COOKIE) {
            let set = set.to_str().unwrap();
            let attributes = "; Path=/; Secure; HttpOnly; SameSite=Lax";
            assert!(set.starts_with("__Host-") && set.ends_with(attributes), "{set}");
            let pair = set.split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        answer
    }

    /// Submits the form of a page with its hidden fields and the given fields.
    pub async fn submit(&mut self, path: &str, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let mut all = hidden_fields(page);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(path, &all).await
    }

    /// Sends an authorization request.
    pub async fn authorize(&mut self, more: &[(&str, &str)]) -> Answer {
        self.get(&format!("/oauth2/authorize?{}", authorization_query(more))).await
    }

    /// Logs in on the login page that responds to an authorization request.
    pub async fn log_in(&mut self, page: &Answer, email: &str) -> Answer {
        page.expect_login_page();
        self.submit("/login", page, &[("username", email), ("password", PASSWORD)]).await
    }

    /// Opens another page for the same pending request, as a button of `page` does.
    pub async fn open(&mut self, path: &str, page: &Answer) -> Answer {
        self.submit(path, page, &[("open", "x")]).await
    }

    /// Runs a complete flow, including the login, and returns the code. The account must exist, and
    /// the browser must not be logged in.
    pub async fn log_in_for_code(&mut self, email: &str, more: &[(&str, &str)]) -> String {
        let page = self.authorize(more).await;
        let answer = self.log_in(&page, email).await;
        answer.sent_to(CALLBACK)["code"].clone()
    }
}

/// The names and values of the hidden fields of a page's first form.
pub fn hidden_fields(page: &Answer) -> Vec<(String, String)> {
    let html = String::from_utf8(page.body.clone()).unwrap();
    let form = html.split("</form>").next().unwrap();
    let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
    inputs
        .map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), unescape(rest.split('"').next().unwrap()))
        })
        .collect()
}

/// The hidden field with the pending request of a page: the sealed request or its handle.
#[track_caller]
pub fn flow(page: &Answer) -> String {
    let mut fields = hidden_fields(page).into_iter();
    fields.find(|(name, _)| name == "flow").expect("a form with this hidden field").1
}

/// The CSRF token of a page's forms.
#[track_caller]
pub fn csrf(page: &Answer) -> String {
    let mut fields = hidden_fields(page).into_iter();
    fields.find(|(name, _)| name == "csrf").expect("a form with this hidden field").1
}

fn unescape(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
