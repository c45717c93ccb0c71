//! Unsigned request objects (OpenID Connect Core 1.0 §6.1). Requests with such an object are
//! refused with an error to the client.
//!
//! The object may contain all parameters of the request. Then its `state` and `response_mode` must
//! be read, because otherwise the client could not match the error to its request.

use josekit::jwt;
use serde_json::Value;

use crate::domain::oauth::params::Params;

/// Members of the object in the parameter `request`.
pub struct RequestObject(Option<jwt::JwtPayload>);

impl RequestObject {
    /// Decodes the object if it is unsigned. A signed object is ignored, because signatures are not
    /// verified.
    #[must_use]
    pub fn of(params: &Params) -> Self {
        let object = params.get("request").filter(|_| !params.repeats("request"));
        let decoded = object.and_then(|object| jwt::decode_unsecured(object).ok());
        Self(decoded.map(|(payload, _)| payload))
    }

    /// A member with a string value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.claim(name).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn state_in(header: &str, payload: &str, signature: &str) -> Option<String> {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let object = format!("{header}.{payload}.{signature}");
        let params = Params::of([("request".to_owned(), object)]);
        RequestObject::of(&params).get("state").map(str::to_owned)
    }

    #[test]
    fn only_unsigned_request_objects_are_read() {
        let payload = r#"{"state":"s","response_mode":"form_post"}"#;

        assert_eq!(state_in(r#"{"alg":"none"}"#, payload, ""), Some("s".to_owned()));
        assert_eq!(state_in(r#"{"alg":"RS256"}"#, payload, "c2ln"), None);
        assert_eq!(state_in(r#"{"alg":"none"}"#, payload, "c2ln"), None);
        assert_eq!(state_in(r#"{"alg":"none"}"#, r#"{"state":7}"#, ""), None);
        assert_eq!(state_in(r#"{"alg":"none"}"#, "[]", ""), None);
        assert_eq!(state_in("", "", ""), None);
    }
}
