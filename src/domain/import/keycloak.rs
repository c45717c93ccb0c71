//! Password credentials of a Keycloak realm export.

use serde_json::{Map, Value};

/// The password hash of a user, as a string that `ForeignHash` parses; `None` if the user has no
/// password.
///
/// A credential has its data as JSON in two strings: `secretData` and `credentialData`.
pub(super) fn password_hash(user: &Map<String, Value>) -> Option<String> {
    let credentials = user.get("credentials")?.as_array()?;
    let password = credentials.iter().find(|it| text(it, "type") == "password")?;
    let secret = parse(password.get("secretData"));
    let data = parse(password.get("credentialData"));
    let algorithm = text(&data, "algorithm");
    let value = text(&secret, "value");
    // A PHC string has no padding.
    let unpadded = |text: &str| text.trim_end_matches('=').to_owned();
    let (salt, tag) = (unpadded(text(&secret, "salt")), unpadded(value));
    let iterations = data.get("hashIterations").and_then(Value::as_u64).unwrap_or_default();
    Some(match algorithm {
        "pbkdf2" => format!("$pbkdf2-sha1$i={iterations}${salt}${tag}"),
        "pbkdf2-sha256" | "pbkdf2-sha512" => {
            format!("${algorithm}$i={iterations}${salt}${tag}")
        }
        "argon2" => {
            let parameter = |name| additional(&data, name);
            let version = if parameter("version") == "1.0" { 16 } else { 19 };
            format!(
                "$argon2{}$v={version}$m={},t={iterations},p={}${salt}${tag}",
                parameter("type"),
                parameter("memory"),
                parameter("parallelism"),
            )
        }
        // Extensions store a complete bcrypt or Argon2 string. Any other hash is reported as
        // unknown.
        _ if value.starts_with("$2") || value.starts_with("$argon2") => value.to_owned(),
        _ => algorithm.to_owned(),
    })
}

fn parse(text: Option<&Value>) -> Value {
    match text {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A parameter of Argon2, which is the only element of a list.
fn additional<'v>(data: &'v Value, name: &str) -> &'v str {
    let list = data.get("additionalParameters").and_then(|parameters| parameters.get(name));
    list.and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or_default()
}
