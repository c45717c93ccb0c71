//! The OpenAPI document of the JSON API: generated from the endpoints, and completed with the
//! responses of the layers around the endpoints.

use poem_openapi::{OpenApi, OpenApiService};
use serde_json::{Map, Value, json};

use crate::http::api::{
    AccountApi, ConsentsApi, DataDownloadApi, EmailApi, ForgottenPasswordApi, LoginApi, MeApi,
    PasswordApi, SessionsApi,
};

const DESCRIPTION: &str = "\
Sign-up, login, sessions and accounts. Resource servers verify the RS256 access tokens locally, \
with the public keys at `/.well-known/jwks.json`.

All errors have the same envelope, with a `code` for programs. The `X-Request-Id` header of the \
response equals `meta.request_id`; a UUID sent in that header becomes the request id.";

/// The characters that the default password policy requires and forbids, for generators of clients
/// and of test data.
const PASSWORD_PATTERN: &str =
    r"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])(?=[\s\S]*[a-z])(?=[\s\S]*[A-Z])(?=[\s\S]*[0-9])";

const BIRTHDATE_PATTERN: &str = r"^[0-9]{4}(-[0-9]{2}-[0-9]{2})?$";
const ZONEINFO_PATTERN: &str = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,2}$";
const LOCALE_PATTERN: &str = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$";
const PHONE_PATTERN: &str = r"^\+[1-9][0-9]{6,14}$";

/// The schemas of merge patches. All their members may be null.
const MERGE_PATCHES: [&str; 2] = ["ProfileBody", "AddressBody"];

/// Constraints that the code checks and poem-openapi cannot express, as `(schema, keyword, value)`.
fn refinements() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("SignUpBody", "additionalProperties", json!(false)),
        ("LogInBody", "additionalProperties", json!(false)),
        ("RefreshBody", "additionalProperties", json!(false)),
        ("ResetBody", "additionalProperties", json!(false)),
        ("ForgottenBody", "additionalProperties", json!(false)),
        ("CodeBody", "additionalProperties", json!(false)),
        ("RequestVerificationBody", "additionalProperties", json!(false)),
        ("ChangeEmailBody", "additionalProperties", json!(false)),
        ("VerifyBody", "additionalProperties", json!(false)),
        ("VerifyCodeBody", "additionalProperties", json!(false)),
        ("ChangeBody", "additionalProperties", json!(false)),
        ("DeleteMeBody", "additionalProperties", json!(false)),
        ("DownloadBody", "additionalProperties", json!(false)),
        ("ProfileBody", "additionalProperties", json!(false)),
        ("ProfileBody", "minProperties", json!(1)),
        ("AddressBody", "additionalProperties", json!(false)),
        ("SignUpBody/properties/email", "format", json!("email")),
        ("LogInBody/properties/email", "format", json!("email")),
        ("ForgottenBody/properties/email", "format", json!("email")),
        ("RequestVerificationBody/properties/email", "format", json!("email")),
        ("ChangeEmailBody/properties/email", "format", json!("email")),
        ("SignUpBody/properties/password", "pattern", json!(PASSWORD_PATTERN)),
        ("ResetBody/properties/new_password", "pattern", json!(PASSWORD_PATTERN)),
        ("CodeBody/properties/new_password", "pattern", json!(PASSWORD_PATTERN)),
        ("VerifyBody/properties/new_password", "pattern", json!(PASSWORD_PATTERN)),
        ("ChangeBody/properties/new_password", "pattern", json!(PASSWORD_PATTERN)),
        ("ErrorBody", "required", json!(["code", "message", "details"])),
        ("ErrorBody/properties/details", "nullable", json!(true)),
        ("ErrorMeta/properties/timestamp", "format", json!("date-time")),
        ("Account/properties/created_at", "format", json!("date-time")),
        ("Account/properties/updated_at", "format", json!("date-time")),
        ("ProfileBody/properties/profile", "format", json!("uri")),
        ("ProfileBody/properties/picture", "format", json!("uri")),
        ("ProfileBody/properties/website", "format", json!("uri")),
        ("ProfileBody/properties/birthdate", "pattern", json!(BIRTHDATE_PATTERN)),
        ("ProfileBody/properties/zoneinfo", "pattern", json!(ZONEINFO_PATTERN)),
        ("ProfileBody/properties/locale", "pattern", json!(LOCALE_PATTERN)),
        ("ProfileBody/properties/phone_number", "pattern", json!(PHONE_PATTERN)),
        ("Session/properties/authenticated_at", "format", json!("date-time")),
        ("Session/properties/last_used_at", "format", json!("date-time")),
        ("Session/properties/expires_at", "format", json!("date-time")),
        ("AccountData/properties/created_at", "format", json!("date-time")),
        ("AccountData/properties/email_verified_at", "format", json!("date-time")),
        ("AccountData/properties/last_login_at", "format", json!("date-time")),
        ("StoredSession/properties/authenticated_at", "format", json!("date-time")),
        ("StoredSession/properties/last_used_at", "format", json!("date-time")),
        ("StoredSession/properties/expires_at", "format", json!("date-time")),
        ("StoredSession/properties/ended_at", "format", json!("date-time")),
        ("AccountEvent/properties/at", "format", json!("date-time")),
    ]
}

/// The endpoints of the JSON API. They get the shared state from the request's data.
pub(super) fn service() -> OpenApiService<impl OpenApi, ()> {
    let passwords = (PasswordApi, ForgottenPasswordApi);
    let own = (MeApi, DataDownloadApi);
    let apis = (AccountApi, own, passwords, EmailApi, LoginApi, SessionsApi, ConsentsApi);
    OpenApiService::new(apis, "Signet", env!("CARGO_PKG_VERSION")).description(DESCRIPTION)
}

/// The OpenAPI document of a server whose issuer has this path. The path is empty for the committed
/// `openapi/openapi.json`.
#[must_use]
pub fn document(issuer_path: &str) -> String {
    let server = if issuer_path.is_empty() { "/" } else { issuer_path };
    let mut document: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    if let Some(document) = document.as_object_mut() {
        // A relative URL refers to the server that sent the document. Behind a proxy, the paths of
        // the API are below the path of the issuer.
        document.insert("servers".to_owned(), json!([{ "url": server }]));
    }
    for operation in operations(&mut document) {
        complete(operation);
    }
    for (schema, keyword, value) in refinements() {
        let schema = document.pointer_mut(&format!("/components/schemas/{schema}"));
        if let Some(schema) = schema.and_then(Value::as_object_mut) {
            schema.insert(keyword.to_owned(), value);
        }
    }
    for patch in MERGE_PATCHES {
        let members = document.pointer_mut(&format!("/components/schemas/{patch}/properties"));
        let members = members.and_then(Value::as_object_mut).into_iter();
        for member in members.flat_map(|members| members.values_mut()) {
            // Siblings of a `$ref` are ignored (OpenAPI 3.0.3, "Reference Object").
            if member.get("$ref").is_some() {
                *member = json!({ "allOf": [member.take()] });
            }
            if let Some(member) = member.as_object_mut() {
                member.insert("nullable".to_owned(), json!(true));
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// An HTML page that shows the document. Its script and style are inline, so it works offline.
pub(super) fn docs_page(document: &str) -> String {
    let service = service();
    // The document is inside a script element, which "</" would end.
    service.swagger_ui_html().replace(&service.spec(), &document.replace("</", "<\\/"))
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut());
    items
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut().filter_map(Value::as_object_mut))
}

/// Adds the responses that all operations have in common, including those of the layers around the
/// endpoints, unless the operation describes such a response itself. Adds headers by status.
fn complete(operation: &mut Map<String, Value>) {
    let takes_token = operation.contains_key("security");
    operation.entry("security").or_insert_with(|| json!([]));
    let takes_body = operation.contains_key("requestBody");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let mut common = vec![
        ("414", "The URL is longer than 8 KiB (`URI_TOO_LONG`)"),
        ("431", "The header fields are larger than 16 KiB (`HEADERS_TOO_LARGE`)"),
        ("500", "Internal server error (`INTERNAL_ERROR`)"),
        ("429", "Too many requests from this client address (`RATE_LIMIT_EXCEEDED`)."),
    ];
    if takes_token {
        common.push(("401", "No valid access token, or its session has ended (`UNAUTHORIZED`)."));
    }
    if takes_body {
        common.push(("413", "The body is larger than 16 KiB (`PAYLOAD_TOO_LARGE`)"));
        common.push(("415", "The body is not JSON (`UNSUPPORTED_MEDIA_TYPE`)"));
        let in_doubt =
            "Retry; the request may or may not have taken effect (`SERVICE_UNAVAILABLE`).";
        common.push(("503", in_doubt));
    } else {
        common.push(("503", "Temporarily unavailable; retry (`SERVICE_UNAVAILABLE`)."));
    }
    for (status, description) in common {
        responses.entry(status).or_insert_with(|| error_response(description));
    }
    for (status, response) in responses.iter_mut() {
        if let Some(response) = response.as_object_mut() {
            response.insert("headers".to_owned(), headers(status));
        }
    }
    responses.sort_keys();
}

fn error_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/ErrorEnvelope" }
        } }
    })
}

fn headers(status: &str) -> Value {
    let text = || json!({ "type": "string" });
    let id = json!({ "type": "string", "format": "uuid" });
    let seconds = json!({ "type": "integer", "minimum": 1 });
    let is_limit = status == "429";
    let headers = [
        (true, "X-Request-Id", "The request id", id),
        (is_limit || status == "503", "Retry-After", "Seconds to wait before a retry", seconds),
        (is_limit, "RateLimit", "The remaining quota and its reset time", text()),
        (is_limit, "RateLimit-Policy", "The quota and its window", text()),
        (status == "401", "WWW-Authenticate", "How to authenticate (RFC 6750)", text()),
    ];
    let sent = headers.into_iter().filter(|(is_sent, ..)| *is_sent);
    sent.map(|(_, name, description, schema)| {
        let header = json!({ "description": description, "required": true, "schema": schema });
        (name.to_owned(), header)
    })
    .collect()
}
